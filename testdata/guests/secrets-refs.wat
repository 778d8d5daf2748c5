;; State in globals that the engine cannot set from outside: a reference and a vector.
;;
;;   write  sets both.
;;   read   outputs one byte, a bit for each. 0 in a pristine sandbox.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (elem declare func $anything)
  (global $reference (mut funcref) (ref.null func))
  (global $vector (mut v128) (v128.const i64x2 3 5))

  (func $anything)

  (func (export "write") (result i32)
    (global.set $reference (ref.func $anything))
    (global.set $vector (v128.const i64x2 1 2))
    (i32.const 0))

  (func (export "read") (result i32)
    (local $o i64)
    (local.set $o (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $o)
      (i32.or
        (i32.eqz (ref.is_null (global.get $reference)))
        (i32.shl (v128.any_true (v128.xor (global.get $vector) (v128.const i64x2 3 5))) (i32.const 1))))
    (call $output_set (local.get $o) (i64.const 1))
    (i32.const 0)))
