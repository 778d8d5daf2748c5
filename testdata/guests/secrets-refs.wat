;; State that an instance cannot be put back from: globals that hold references and vectors, a table that has grown, a segment of elements.
;;
;;   write  sets both globals, grows the table and drops the segment.
;;   read   outputs one byte, a bit for each of: the reference, the vector, the table. 0 in a pristine sandbox. Traps when the segment is
;;          dropped.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (table $t 1 funcref)
  (elem $segment func $anything)
  (global $reference (mut funcref) (ref.null func))
  (global $vector (mut v128) (v128.const i64x2 0 0))

  (func $anything)

  (func (export "write") (result i32)
    (global.set $reference (ref.func $anything))
    (global.set $vector (v128.const i64x2 1 2))
    (drop (table.grow $t (ref.func $anything) (i32.const 3)))
    (elem.drop $segment)
    (i32.const 0))

  (func (export "read") (result i32)
    (local $o i64)
    (local.set $o (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $o)
      (i32.or
        (i32.or
          (i32.eqz (ref.is_null (global.get $reference)))
          (i32.shl (v128.any_true (global.get $vector)) (i32.const 1)))
        (i32.shl (i32.ne (table.size $t) (i32.const 1)) (i32.const 2))))
    (table.init $t $segment (i32.const 0) (i32.const 0) (i32.const 1))
    (call $output_set (local.get $o) (i64.const 1))
    (i32.const 0)))
