;; Provides one of the functions that wants.wat imports, and needs one that nobody provides itself.
(module
  (import "deep" "down" (func $down))
  (func (export "ints") (param i32 i64) (result i32)
    (if (i64.eq (local.get 1) (i64.const 0)) (then (call $down)))
    (i32.const 0)))
