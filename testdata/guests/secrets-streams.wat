;; A command whose calls leave something in its streams. It reads up to 8 bytes of its standard input, writes them to its standard output and,
;; without an end of line, to standard error, and then does as the first byte says: t traps, l loops for ever, x exits with code 7, all else
;; returns; q exits with code 7 at once and has written nothing.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\08\00\00\00") ;; one piece of eight bytes, at 64
  (func (export "_start")
    (local $first i32)
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (local.set $first (i32.load8_u (i32.const 64)))
    (if (i32.eq (local.get $first) (i32.const 0x71)) (then (call $exit (i32.const 7))))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (if (i32.eq (local.get $first) (i32.const 0x74)) (then (unreachable)))
    (if (i32.eq (local.get $first) (i32.const 0x6c)) (then (loop $again (br $again))))
    (if (i32.eq (local.get $first) (i32.const 0x78)) (then (call $exit (i32.const 7))))))
