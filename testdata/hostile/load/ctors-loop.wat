;; Its __wasm_call_ctors never ends.
(module
  (func (export "__wasm_call_ctors") (loop $again (br $again)))
  (func (export "process") (result i32) (i32.const 0)))
