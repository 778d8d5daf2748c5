;; Its start function never ends.
(module
  (func $start (loop $again (br $again)))
  (start $start)
  (func (export "process") (result i32) (i32.const 0)))
