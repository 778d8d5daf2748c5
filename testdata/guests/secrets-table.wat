;; State in places that cannot be put back from outside: a table, and passive segments.
;;
;;   write       sets the first entry of the table and drops the segment.
;;   read        outputs one byte: bit 0 when the entry is set, bit 1 when the segment is dropped. 0 in a pristine sandbox.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (elem declare func $anything)
  (data $segment "x")
  (global $dropped (mut i32) (i32.const 0))

  (func $anything)

  (func (export "write") (result i32)
    (table.set $t (i32.const 0) (ref.func $anything))
    (data.drop $segment)
    (global.set $dropped (i32.const 1))
    (i32.const 0))

  (func (export "read") (result i32)
    (local $o i64)
    (local.set $o (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $o)
      (i32.or
        (i32.eqz (ref.is_null (table.get $t (i32.const 0))))
        (i32.shl (global.get $dropped) (i32.const 1))))
    ;; traps when the segment is dropped although this sandbox never dropped it
    (if (i32.eqz (global.get $dropped))
      (then (memory.init $segment (i32.const 0) (i32.const 0) (i32.const 1))))
    (call $output_set (local.get $o) (i64.const 1))
    (i32.const 0)))
