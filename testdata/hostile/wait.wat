;; memory.atomic.wait, which nobody will ever wake.
;;
;;   wait   waits for ever.
;;   again  waits ten seconds at each of a million addresses.
;;   fine   uses atomics as one that has them all to itself may.
(module
  (memory (export "memory") 64 64 shared)
  (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
  (func (export "again") (result i32)
    (local $at i32)
    (loop $next
      (drop (memory.atomic.wait64 (local.get $at) (i64.const 0) (i64.const 10000000000)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 0x400000))))
    (i32.const 0))
  (func (export "fine") (result i32)
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
    (i32.const 0)))
