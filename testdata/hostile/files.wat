;; A file of a granted folder, which is file 3.
;;
;;   pieces  opens "out" and writes 8 GiB to it in one call, two million pieces of 4 KiB; fails with the errno when it cannot be opened.
;;   fine    succeeds.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 256 256)
  (data (i32.const 0xf70000) "out")
  (func (export "pieces") (result i32)
    (local $errno i32) (local $at i32)
    (local.set $errno
      (call $path_open (i32.const 3) (i32.const 0) (i32.const 0xf70000) (i32.const 3) (i32.const 1) (i64.const 66) (i64.const 66) (i32.const 0)
        (i32.const 0xf80000)))
    (if (local.get $errno) (then (return (local.get $errno))))
    (loop $next
      (i32.store offset=4 (local.get $at) (i32.const 4096))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 16000000))))
    (call $fd_write (i32.load (i32.const 0xf80000)) (i32.const 0) (i32.const 2000000) (i32.const 0xf80008)))
  (func (export "fine") (result i32) (i32.const 0)))
