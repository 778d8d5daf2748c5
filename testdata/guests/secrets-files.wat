;; Files of a granted folder, which is file 3, that are left open.
;;
;;   write  opens "secret" three times and reads a byte of it.
;;   read   outputs one byte: how many of the files 4 to 63 are open.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "secret")
  (data (i32.const 16) "\80\00\00\00\01\00\00\00") ;; one piece of one byte, at 128

  (func (export "write") (result i32)
    (local $n i32)
    (loop $next
      (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 64))
        (then (return (i32.const 1))))
      (if (call $fd_read (i32.load (i32.const 64)) (i32.const 16) (i32.const 1) (i32.const 72)) (then (return (i32.const 2))))
      (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3))))
    (i32.const 0))

  (func (export "read") (result i32)
    (local $fd i32) (local $open i32) (local $o i64)
    (local.set $fd (i32.const 4))
    (loop $next
      (local.set $open (i32.add (local.get $open) (i32.eqz (call $fdstat (local.get $fd) (i32.const 256)))))
      (br_if $next (i32.lt_u (local.tee $fd (i32.add (local.get $fd) (i32.const 1))) (i32.const 64))))
    (local.set $o (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $o) (local.get $open))
    (call $output_set (local.get $o) (i64.const 1))
    (i32.const 0)))
