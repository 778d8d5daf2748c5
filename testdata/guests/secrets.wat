;; What one call can see of the one before.
;;
;;   write       input: 8 bytes, the secret. Keeps it wherever a module can: in its first page, in a page that it grows by, in a
;;               global, in an exported global, in the var "secret", and in a block of the kernel's memory that it does not free.
;;   traps, spins, recurses, exits, fails
;;               write it, and then end in that way; fails has the secret as its error message, and says that its input is bad.
;;   fills       grows until it is refused and writes the secret to all of its memory, then traps.
;;   searches    grows until it is refused and outputs, in 8 bytes, how many words of its memory are not zero.
;;   outputs     has the secret as its output.
;;   nothing     succeeds without doing anything.
;;   read        outputs 8 bytes from each of: the first page, the grown page, the global, the exported global, the var, in this
;;               order (40 bytes); 8 zero bytes for each that is not there.
;;   dirty       allocates blocks of 8, 16, ... 1024 bytes and outputs the last as it was handed out, unwritten.
;;   sweep       outputs the first 4096 bytes of a block of 64 KiB, unwritten.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/user" "taskhost_invalid_input" (func $invalid_input (param i64)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $hidden (mut i64) (i64.const 0))
  (global $shown (export "shown") (mut i64) (i64.const 0))

  (func $key (result i64)
    (local $o i64)
    (local.set $o (call $alloc (i64.const 6)))
    (call $store_u8 (local.get $o) (i32.const 0x73))
    (call $store_u8 (i64.add (local.get $o) (i64.const 1)) (i32.const 0x65))
    (call $store_u8 (i64.add (local.get $o) (i64.const 2)) (i32.const 0x63))
    (call $store_u8 (i64.add (local.get $o) (i64.const 3)) (i32.const 0x72))
    (call $store_u8 (i64.add (local.get $o) (i64.const 4)) (i32.const 0x65))
    (call $store_u8 (i64.add (local.get $o) (i64.const 5)) (i32.const 0x74))
    (local.get $o))

  (func $write (export "write") (result i32)
    (local $secret i64) (local $page i32) (local $block i64)
    (local.set $secret (call $input_load_u64 (i64.const 0)))
    (i64.store (i32.const 4096) (local.get $secret))
    (local.set $page (memory.grow (i32.const 1)))
    (if (i32.ne (local.get $page) (i32.const -1))
      (then (i64.store (i32.shl (local.get $page) (i32.const 16)) (local.get $secret))))
    (global.set $hidden (local.get $secret))
    (global.set $shown (local.get $secret))
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (local.get $secret))
    (call $var_set (call $key) (local.get $block))
    ;; and once more where nothing points to it
    (call $store_u64 (call $alloc (i64.const 1024)) (local.get $secret))
    (i32.const 0))

  (func (export "read") (result i32)
    (local $out i64) (local $var i64)
    (local.set $out (call $alloc (i64.const 40)))
    (call $store_u64 (local.get $out) (i64.load (i32.const 4096)))
    (call $store_u64 (i64.add (local.get $out) (i64.const 8))
      (if (result i64) (i32.gt_u (memory.size) (i32.const 1))
        (then (i64.load (i32.const 65536)))
        (else (i64.const 0))))
    (call $store_u64 (i64.add (local.get $out) (i64.const 16)) (global.get $hidden))
    (call $store_u64 (i64.add (local.get $out) (i64.const 24)) (global.get $shown))
    (local.set $var (call $var_get (call $key)))
    (call $store_u64 (i64.add (local.get $out) (i64.const 32))
      (if (result i64) (i64.ge_u (call $length (local.get $var)) (i64.const 8))
        (then (call $load_u64 (local.get $var)))
        (else (i64.const 0))))
    (call $output_set (local.get $out) (i64.const 40))
    (i32.const 0))

  (func (export "dirty") (result i32)
    (local $n i64) (local $o i64)
    (local.set $n (i64.const 8))
    (loop $next
      (local.set $o (call $alloc (local.get $n)))
      (local.set $n (i64.shl (local.get $n) (i64.const 1)))
      (br_if $next (i64.le_u (local.get $n) (i64.const 1024))))
    (call $output_set (local.get $o) (i64.const 1024))
    (i32.const 0))

  (func (export "sweep") (result i32)
    (call $output_set (call $alloc (i64.const 65536)) (i64.const 4096))
    (i32.const 0))

  (func (export "traps") (result i32) (drop (call $write)) (unreachable))
  (func (export "spins") (result i32) (drop (call $write)) (loop $again (br $again)) (unreachable))
  (func $down (param $n i64) (result i64) (i64.add (call $down (i64.add (local.get $n) (i64.const 1))) (local.get $n)))
  (func (export "recurses") (result i32) (drop (call $write)) (i32.wrap_i64 (call $down (i64.const 0))))
  (func (export "exits") (result i32) (drop (call $write)) (call $exit (i32.const 3)) (i32.const 0))
  (func (export "fails") (result i32)
    (drop (call $write))
    (call $error_set (call $input_offset))
    (call $invalid_input (call $input_offset))
    (i32.const 1))

  (func $grow (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))
  (func (export "fills") (result i32)
    (local $at i32)
    (call $grow)
    (loop $next
      (i64.store (local.get $at) (call $input_load_u64 (i64.const 0)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.shl (memory.size) (i32.const 16)))))
    (unreachable))
  (func (export "searches") (result i32)
    (local $at i32) (local $found i64) (local $out i64)
    (call $grow)
    (loop $next
      (local.set $found (i64.add (local.get $found) (i64.extend_i32_u (i64.ne (i64.load (local.get $at)) (i64.const 0)))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.shl (memory.size) (i32.const 16)))))
    (local.set $out (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $out) (local.get $found))
    (call $output_set (local.get $out) (i64.const 8))
    (i32.const 0))
  (func (export "outputs") (result i32)
    (call $output_set (call $input_offset) (call $input_length))
    (i32.const 0))
  (func (export "nothing") (result i32) (i32.const 0)))
