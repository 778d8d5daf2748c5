;; WASI, called so that a single call has no end that anybody would see, or as often as it goes.
;;
;;   pieces   one fd_write of a thousand pieces, each the whole memory of 16 MiB, to standard error; "out": to standard output.
;;   lines    the same, of nothing but ends of lines.
;;   empty    fd_write of a million empty pieces, again and again; "read": the same with fd_read.
;;   random   random_get of the whole memory, again and again.
;;   polls    poll_oneoff with as many subscriptions as the memory has room for, again and again.
;;   sleep    sleeps for an hour, then succeeds.
;;   clock    asks for the time, again and again.
;;   logs     a short line to standard error, again and again.
;;   far      pointers and lengths out of bounds in each function; fails with the number of the first that does not say EFAULT.
;;   count    poll_oneoff with a number of subscriptions whose size in bytes is more than 32 bits; fails with the errno.
;;   fine     succeeds.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $filestat (param i32 i32) (result i32)))
  (memory (export "memory") 256 256)

  (func $pieces (param $n i32) (param $ptr i32) (param $len i32)
    (local $p i32)
    (loop $next
      (i32.store (local.get $p) (local.get $ptr))
      (i32.store offset=4 (local.get $p) (local.get $len))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "pieces") (result i32)
    (call $pieces (i32.const 1000) (i32.const 0) (i32.const 0x1000000))
    (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1000) (i32.const 8000)))
  (func (export "out") (result i32)
    (call $pieces (i32.const 1000) (i32.const 0) (i32.const 0x1000000))
    (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1000) (i32.const 8000)))
  (func (export "lines") (result i32)
    (memory.fill (i32.const 0) (i32.const 10) (i32.const 0x1000000))
    (call $pieces (i32.const 1000) (i32.const 0) (i32.const 0x1000000))
    (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1000) (i32.const 8000)))
  (func (export "empty") (result i32)
    (loop $again
      (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1000000) (i32.const 8000000)))
      (br $again))
    (i32.const 0))
  (func (export "read") (result i32)
    (loop $again
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1000000) (i32.const 8000000)))
      (br $again))
    (i32.const 0))
  (func (export "random") (result i32)
    (loop $again (drop (call $random_get (i32.const 0) (i32.const 0x1000000))) (br $again))
    (i32.const 0))
  (func (export "polls") (result i32)
    (loop $again (drop (call $poll (i32.const 0) (i32.const 0) (i32.const 349000) (i32.const 0))) (br $again))
    (i32.const 0))
  (func (export "sleep") (result i32)
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (call $poll (i32.const 0) (i32.const 1000) (i32.const 1) (i32.const 2000)))
  (func (export "clock") (result i32)
    (loop $again (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 0))) (br $again))
    (i32.const 0))
  (func (export "logs") (result i32)
    (call $pieces (i32.const 1) (i32.const 64) (i32.const 8))
    (i64.store (i32.const 64) (i64.const 0x0a6e776f64206f67))
    (loop $again (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 128))) (br $again))
    (i32.const 0))
  (func (export "count") (result i32) (call $poll (i32.const 0) (i32.const 1000) (i32.const 89478486) (i32.const 2000)))

  (global $calls (mut i32) (i32.const 0))
  ;; Whether the errno is not 21, EFAULT.
  (func $fault (param $errno i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.ne (local.get $errno) (i32.const 21)))
  (func (export "far") (result i32)
    (block $other
      (br_if $other (call $fault (call $fd_write (i32.const 1) (i32.const 0xfffffff0) (i32.const 1) (i32.const 0))))
      (br_if $other (call $fault (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0x1ffffff0) (i32.const 0))))
      (i32.store (i32.const 0) (i32.const 0xfffffff0))
      (i32.store (i32.const 4) (i32.const 0xffff))
      (br_if $other (call $fault (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 0))))
      (br_if $other (call $fault (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))))
      (br_if $other (call $fault (call $random_get (i32.const 0xfffffff0) (i32.const 0xff))))
      (br_if $other (call $fault (call $random_get (i32.const 0) (i32.const 0xffffffff))))
      (br_if $other (call $fault (call $poll (i32.const 0xfffffff0) (i32.const 0) (i32.const 1) (i32.const 0))))
      (br_if $other (call $fault (call $poll (i32.const 0) (i32.const 0xfffffff0) (i32.const 1) (i32.const 0))))
      (br_if $other (call $fault (call $clock (i32.const 0) (i64.const 1) (i32.const 0xffffffff))))
      (br_if $other (call $fault (call $resolution (i32.const 0) (i32.const 0xffffffff))))
      (br_if $other (call $fault (call $args (i32.const 0xffffffff) (i32.const 0xffffffff))))
      (br_if $other (call $fault (call $args_sizes (i32.const 0xffffffff) (i32.const 0xffffffff))))
      (br_if $other (call $fault (call $environ_sizes (i32.const 0xffffffff) (i32.const 0xffffffff))))
      (br_if $other (call $fault (call $fdstat (i32.const 1) (i32.const 0xffffffff))))
      (br_if $other (call $fault (call $filestat (i32.const 1) (i32.const 0xffffffff))))
      (return (i32.const 0)))
    (global.get $calls))
  (func (export "fine") (result i32) (i32.const 0)))
