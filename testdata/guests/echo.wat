;; Gives back its input.
;;
;;   process   copies the input into its own memory and out again, with one call each (taskhost_read, taskhost_write).
;;   by_eight  the same, with Extism's functions, eight bytes a call.
;;   same      names the input block as the output: nothing is copied by the guest.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "taskhost_read" (func $read (param i64 i32 i32)))
  (import "extism:host/user" "taskhost_write" (func $write (param i64 i32 i32)))
  (memory (export "memory") 1)

  (func (export "process") (result i32)
    (local $n i32) (local $missing i32) (local $out i64)
    (local.set $n (i32.wrap_i64 (call $input_length)))
    ;; The input goes to address 0; memory grows when it does not fit.
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (local.get $n) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then (return (i32.const 1))))))
    (call $read (call $input_offset) (i32.const 0) (local.get $n))
    (local.set $out (call $alloc (i64.extend_i32_u (local.get $n))))
    (call $write (local.get $out) (i32.const 0) (local.get $n))
    (call $output_set (local.get $out) (i64.extend_i32_u (local.get $n)))
    (i32.const 0))

  (func (export "by_eight") (result i32)
    (local $n i64) (local $i i64) (local $out i64)
    (local.set $n (call $input_length))
    (local.set $out (call $alloc (local.get $n)))
    (block $tail
      (loop $next
        (br_if $tail (i64.gt_u (i64.add (local.get $i) (i64.const 8)) (local.get $n)))
        (call $store_u64 (i64.add (local.get $out) (local.get $i)) (call $input_load_u64 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 8)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i64.ge_u (local.get $i) (local.get $n)))
        (call $store_u8 (i64.add (local.get $out) (local.get $i)) (call $input_load_u8 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br $next)))
    (call $output_set (local.get $out) (local.get $n))
    (i32.const 0))

  (func (export "same") (result i32)
    (call $output_set (call $input_offset) (call $input_length))
    (i32.const 0)))
