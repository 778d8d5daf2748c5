;; Imports a function that extism:host/env does not have.
(module
  (import "extism:host/env" "no_such_function" (func (param i64)))
  (func (export "process") (result i32) (i32.const 0)))
