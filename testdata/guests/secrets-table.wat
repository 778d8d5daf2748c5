;; State in places that cannot be put back from outside: a table, and passive segments.
;;
;;   write       sets the first entry of the table, grows it, and drops the segments.
;;   read        outputs one byte: bit 0 when the entry is set, bit 1 when the segments are dropped, bit 2 when the table has grown.
;;               0 in a pristine sandbox.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (table $t 2 funcref)
  (elem $functions func $anything)
  (data $segment "x")
  (global $dropped (mut i32) (i32.const 0))

  (func $anything)

  (func (export "write") (result i32)
    (table.set $t (i32.const 0) (ref.func $anything))
    (if (i32.eq (table.size $t) (i32.const 2))
      (then (drop (table.grow $t (ref.func $anything) (i32.const 3)))))
    (data.drop $segment)
    (elem.drop $functions)
    (global.set $dropped (i32.const 1))
    (i32.const 0))

  (func (export "read") (result i32)
    (local $o i64)
    (local.set $o (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $o)
      (i32.or
        (i32.or
          (i32.eqz (ref.is_null (table.get $t (i32.const 0))))
          (i32.shl (global.get $dropped) (i32.const 1)))
        (i32.shl (i32.ne (table.size $t) (i32.const 2)) (i32.const 2))))
    ;; traps when a segment is dropped although this sandbox never dropped it
    (if (i32.eqz (global.get $dropped))
      (then
        (memory.init $segment (i32.const 0) (i32.const 0) (i32.const 1))
        (table.init $t $functions (i32.const 1) (i32.const 0) (i32.const 1))))
    (call $output_set (local.get $o) (i64.const 1))
    (i32.const 0)))
