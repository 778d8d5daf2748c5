;; Its _initialize never ends.
(module
  (func (export "_initialize") (loop $again (br $again)))
  (func (export "process") (result i32) (i32.const 0)))
