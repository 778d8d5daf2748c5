;; Draws a seed while it starts.
;;
;;   process  outputs the seed.
;;   fine     succeeds.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "_initialize") (drop (call $random_get (i32.const 0) (i32.const 8))))
  (func (export "fine") (result i32) (i32.const 0))
  (func (export "process") (result i32)
    (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store (local.get $at) (i64.load (i32.const 0)))
    (call $output (local.get $at) (i64.const 8))
    (i32.const 0)))
