;; Start-up: the start function, then _initialize, each once, before the first call.
;;
;;   order  outputs the order in which they ran: "si" for start, _initialize.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "taskhost_write" (func $write (param i64 i32 i32)))
  (memory (export "memory") 1)
  (global $used (mut i32) (i32.const 0))
  (func $note (param $c i32)
    (i32.store8 (global.get $used) (local.get $c))
    (global.set $used (i32.add (global.get $used) (i32.const 1))))
  (func $start (call $note (i32.const 0x73)))
  (start $start)
  (func (export "_initialize") (call $note (i32.const 0x69)))
  (func (export "order") (result i32)
    (local $o i64)
    (local.set $o (call $alloc (i64.extend_i32_u (global.get $used))))
    (call $write (local.get $o) (i32.const 0) (global.get $used))
    (call $output_set (local.get $o) (i64.extend_i32_u (global.get $used)))
    (i32.const 0)))
