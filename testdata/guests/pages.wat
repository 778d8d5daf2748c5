;; Touches one page of memory after the other: nearly all of its time goes into page faults and misses of the caches, so that a few
;; instructions take long.
;;
;;   walk   through all of the memory once: in a sandbox of its own every step meets a page that is new.
;;   walks  for ever.
(module
  (memory (export "memory") 2048)

  (func $walk
    (local $at i32)
    (loop $next
      (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1)))
      ;; a page and a cache line, so that it is not always the same part of the caches
      (local.set $at (i32.add (local.get $at) (i32.const 4160)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 0x7fffff8)))))

  (func (export "walk") (result i32)
    (call $walk)
    (i32.const 0))

  (func (export "walks") (result i32)
    (loop $again (call $walk) (br $again))
    (i32.const 0)))
