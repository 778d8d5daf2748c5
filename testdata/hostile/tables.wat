;; Tables, which live in the host's own memory.
;;
;;   grow  grows three tables until all are refused, and fails with "table.grow refused" and the number of elements as its code.
;;   fill  table.fill and table.copy of what it could grow to, again and again.
;;   fine  succeeds.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/user" "taskhost_write" (func $write (param i64 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "table.grow refused")
  (table $a 1 funcref)
  (table $b 1 externref)
  (table $c 1 2000000000 funcref)
  (func $grow
    (loop $again (br_if $again (i32.ne (table.grow $a (ref.null func) (i32.const 4096)) (i32.const -1))))
    (loop $again (br_if $again (i32.ne (table.grow $b (ref.null extern) (i32.const 4096)) (i32.const -1))))
    (loop $again (br_if $again (i32.ne (table.grow $c (ref.null func) (i32.const 4096)) (i32.const -1)))))
  (func (export "grow") (result i32)
    (local $message i64)
    (call $grow)
    (local.set $message (call $alloc (i64.const 18)))
    (call $write (local.get $message) (i32.const 0) (i32.const 18))
    (call $error_set (local.get $message))
    (i32.add (table.size $a) (i32.add (table.size $b) (table.size $c))))
  (func (export "fill") (result i32)
    (call $grow)
    (loop $again
      (table.fill $a (i32.const 0) (ref.null func) (table.size $a))
      (table.copy $c $a (i32.const 0) (i32.const 0) (table.size $a))
      (table.copy $c $c (i32.const 1) (i32.const 0) (i32.sub (table.size $c) (i32.const 1)))
      (br $again))
    (i32.const 0))
  (func (export "fine") (result i32) (i32.const 0)))
