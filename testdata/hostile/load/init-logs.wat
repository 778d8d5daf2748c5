;; Its _initialize logs for ever.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "log_error" (func $log (param i64)))
  (func (export "_initialize")
    (local $message i64)
    (local.set $message (call $alloc (i64.const 100)))
    (loop $again (call $log (local.get $message)) (br $again)))
  (func (export "process") (result i32) (i32.const 0)))
