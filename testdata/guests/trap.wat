;; Every trap that a module can make by itself, one export each.
;;
;;   process  gives back its input; on the input "trap" it traps, three calls deep ($first, $second, $third).
(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (type $returns_i64 (func (result i64)))
  (type $returns_i32 (func (result i32)))
  (table 4 funcref)
  (elem (i32.const 0) $third)
  (data $passive "0123456789")
  (global $zero (mut i32) (i32.const 0))

  (func $third (result i32) (unreachable))
  (func $second (result i32) (i32.add (call $third) (i32.const 1)))
  (func $first (result i32) (i32.add (call $second) (i32.const 1)))

  (func (export "process") (result i32)
    (if (i32.and
          (i64.eq (call $input_length) (i64.const 4))
          (i32.eq (call $input_load_u8 (i64.const 3)) (i32.const 0x70)))
      (then (return (call $first))))
    (call $output_set (call $input_offset) (call $input_length))
    (i32.const 0))

  (func (export "unreachable") (result i32) (unreachable))
  (func (export "divide_by_zero") (result i32) (i32.div_u (i32.const 1) (global.get $zero)))
  (func (export "overflow") (result i32)
    (i32.div_s (i32.const 0x80000000) (i32.sub (global.get $zero) (i32.const 1))))
  (func (export "convert") (result i32) (i32.trunc_f64_s (f64.const nan)))
  (func (export "load_out_of_bounds") (result i32) (i32.load (i32.const 65533)))
  (func (export "store_out_of_bounds") (result i32) (i32.store (i32.const -1) (i32.const 1)) (i32.const 0))
  (func (export "fill_out_of_bounds") (result i32)
    (memory.fill (i32.const 65530) (i32.const 1) (i32.const 7)) (i32.const 0))
  (func (export "init_out_of_bounds") (result i32)
    (memory.init $passive (i32.const 0) (i32.const 8) (i32.const 3)) (i32.const 0))
  (func (export "indirect_out_of_bounds") (result i32) (call_indirect (type $returns_i32) (i32.const 9)))
  (func (export "indirect_null") (result i32) (call_indirect (type $returns_i32) (i32.const 1)))
  (func (export "indirect_type") (result i32) (i32.wrap_i64 (call_indirect (type $returns_i64) (i32.const 0)))))
