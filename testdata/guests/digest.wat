;; The module fuzzing-support, whose functions those that binaryen makes of random bytes call to log numbers. The output is a digest of
;; all numbers since the instance was made.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (global $digest (mut i64) (i64.const 0))

  (func $output
    (local $o i64)
    (local.set $o (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $o) (global.get $digest))
    (call $output_set (local.get $o) (i64.const 8)))

  (func $log (export "log-i64") (param $n i64)
    (global.set $digest
      (i64.mul
        (i64.xor (i64.rotl (global.get $digest) (i64.const 5)) (local.get $n))
        (i64.const 0x9e3779b97f4a7c15)))
    (call $output))

  (func (export "log-i32") (param $n i32) (call $log (i64.extend_i32_u (local.get $n))))
  (func (export "log-f32") (param $n f32) (call $log (i64.extend_i32_u (i32.reinterpret_f32 (local.get $n)))))
  (func (export "log-f64") (param $n f64) (call $log (i64.reinterpret_f64 (local.get $n))))
  (func (export "log-v128") (param $n v128)
    (call $log (i64x2.extract_lane 0 (local.get $n)))
    (call $log (i64x2.extract_lane 1 (local.get $n))))

  (func (export "digest") (result i32)
    (call $output)
    (i32.const 0)))
