;; Recursion.
;;
;;   process   input: one byte; recurses 2 to that power times, then gives back its input.
;;   recurse   calls itself for ever.
;;   mutual    two functions that call each other for ever.
;;   indirect  the same, through the table.
(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (type $f (func (param i64) (result i64)))
  (table 1 funcref)
  (elem (i32.const 0) $through_table)

  (func $down (param $n i64) (result i64)
    (if (i64.eqz (local.get $n)) (then (return (i64.const 0))))
    (i64.add (call $down (i64.sub (local.get $n) (i64.const 1))) (i64.const 1)))

  (func $for_ever (param $n i64) (result i64)
    (i64.add (call $for_ever (i64.add (local.get $n) (i64.const 1))) (local.get $n)))

  (func $ping (param $n i64) (result i64)
    (i64.add (call $pong (i64.add (local.get $n) (i64.const 1))) (local.get $n)))
  (func $pong (param $n i64) (result i64)
    (i64.xor (call $ping (i64.add (local.get $n) (i64.const 1))) (local.get $n)))

  (func $through_table (param $n i64) (result i64)
    (i64.add (call_indirect (type $f) (i64.add (local.get $n) (i64.const 1)) (i32.const 0)) (local.get $n)))

  (func (export "process") (result i32)
    (drop (call $down (i64.shl (i64.const 1) (i64.extend_i32_u (call $input_load_u8 (i64.const 0))))))
    (call $output_set (call $input_offset) (call $input_length))
    (i32.const 0))
  (func (export "recurse") (result i32) (i32.wrap_i64 (call $for_ever (i64.const 0))))
  (func (export "mutual") (result i32) (i32.wrap_i64 (call $ping (i64.const 0))))
  (func (export "indirect") (result i32) (i32.wrap_i64 (call $through_table (i64.const 0)))))
