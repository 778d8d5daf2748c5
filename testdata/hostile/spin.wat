;; Loops that never end, each of another shape.
;;
;;   process    gives back its input; on the input "spin" it loops for ever.
;;   spin       an empty loop.
;;   nested     loops in loops.
;;   calls      a loop whose body is a call.
;;   host       a loop that calls the host all the time, and does not care what taskhost_cancelled says.
;;   fill       a loop over memory.fill of 64 KiB.
;;   backwards  a loop that is left and entered again from an outer one, through br_table.
(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "taskhost_cancelled" (func $cancelled (result i32)))
  (memory (export "memory") 1)
  (global $count (mut i64) (i64.const 0))

  (func $is_spin (result i32)
    (if (i64.ne (call $input_length) (i64.const 4)) (then (return (i32.const 0))))
    (i32.and
      (i32.and
        (i32.eq (call $input_load_u8 (i64.const 0)) (i32.const 0x73))
        (i32.eq (call $input_load_u8 (i64.const 1)) (i32.const 0x70)))
      (i32.and
        (i32.eq (call $input_load_u8 (i64.const 2)) (i32.const 0x69))
        (i32.eq (call $input_load_u8 (i64.const 3)) (i32.const 0x6e)))))

  (func $spin (export "spin") (result i32)
    (loop $again (br $again))
    (i32.const 0))

  (func (export "process") (result i32)
    (if (call $is_spin) (then (return (call $spin))))
    (call $output_set (call $input_offset) (call $input_length))
    (i32.const 0))

  (func (export "nested") (result i32)
    (local $i i32)
    (loop $outer
      (local.set $i (i32.const 1000))
      (loop $inner
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (br_if $inner (local.get $i)))
      (br $outer))
    (i32.const 0))

  (func $step
    (global.set $count (i64.add (global.get $count) (i64.const 1))))

  (func (export "calls") (result i32)
    (loop $again (call $step) (br $again))
    (i32.const 0))

  (func (export "host") (result i32)
    (loop $again (drop (call $cancelled)) (br $again))
    (i32.const 0))

  (func (export "fill") (result i32)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536))
      (br $again))
    (i32.const 0))

  (func (export "backwards") (result i32)
    (local $i i32)
    (loop $outer
      (block $leave
        (loop $inner
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_table $inner $leave $outer (i32.and (local.get $i) (i32.const 3))))
        (br $outer))
      (br $outer))
    (i32.const 0)))
