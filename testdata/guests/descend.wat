;; descend calls itself as often as the input has bytes, and so takes that much more stack.
(module
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (func $down (param $n i64) (result i64)
    (if (result i64) (i64.eqz (local.get $n))
      (then (i64.const 0))
      (else (i64.add (i64.const 1) (call $down (i64.sub (local.get $n) (i64.const 1)))))))
  (func (export "descend") (result i32)
    (i64.ne (call $down (call $input_length)) (call $input_length))))
