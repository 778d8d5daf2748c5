;; Its start function grows its memory page by page, writes to each, and traps when it is refused.
(module
  (memory (export "memory") 1)
  (func $start
    (local $page i32)
    (loop $next
      (if (i32.eq (local.tee $page (memory.grow (i32.const 1))) (i32.const -1)) (then (unreachable)))
      (i64.store (i32.shl (local.get $page) (i32.const 16)) (i64.const -1))
      (br $next)))
  (start $start)
  (func (export "process") (result i32) (i32.const 0)))
