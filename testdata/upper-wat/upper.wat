;; Upper-cases the ASCII letters of UTF-8 text. The same processor stands beside this one in other languages.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "taskhost_read" (func $read (param i64 i32 i32)))
  (import "extism:host/user" "taskhost_write" (func $write (param i64 i32 i32)))
  (import "extism:host/user" "taskhost_progress" (func $progress (param i32 i32 f64 i64)))
  (import "extism:host/user" "taskhost_invalid_input" (func $invalid_input (param i64)))

  ;; 0: the message, its number to be written behind it; 4096: the text.
  (memory (export "memory") 1)
  (data (i32.const 0) "invalid UTF-8 at byte ")
  (global $message_length i32 (i32.const 22))
  (global $text i32 (i32.const 4096))

  (func $part_of (param $n i32) (result i32) ;; n bytes in parts of 64 KiB, rounded up
    (i32.shr_u (i32.add (local.get $n) (i32.const 65535)) (i32.const 16)))

  (func $report (param $step i32) (param $total i32)
    (call $progress (local.get $step) (local.get $total) (f64.const nan) (i64.const 0)))

  (func $block (param $from i32) (param $n i32) (result i64) ;; copies n bytes into a block of the host's memory
    (local $offset i64)
    (local.set $offset (call $alloc (i64.extend_i32_u (local.get $n))))
    (call $write (local.get $offset) (local.get $from) (local.get $n))
    (local.get $offset))

  (func $between (param $x i32) (param $low i32) (param $high i32) (result i32)
    (i32.and (i32.ge_u (local.get $x) (local.get $low)) (i32.le_u (local.get $x) (local.get $high))))

  ;; The length of the character at p, of which n bytes are there, or 0 when it is none.
  (func $utf8 (param $p i32) (param $n i32) (result i32)
    (local $c i32) (local $length i32) (local $low i32) (local $high i32) (local $i i32)
    (local.set $c (i32.load8_u (local.get $p)))
    (if (i32.lt_u (local.get $c) (i32.const 0x80)) (then (return (i32.const 1))))
    (if (call $between (local.get $c) (i32.const 0xc2) (i32.const 0xdf)) (then (local.set $length (i32.const 2))))
    (if (call $between (local.get $c) (i32.const 0xe0) (i32.const 0xef)) (then (local.set $length (i32.const 3))))
    (if (call $between (local.get $c) (i32.const 0xf0) (i32.const 0xf4)) (then (local.set $length (i32.const 4))))
    (if (i32.eqz (local.get $length)) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $length) (local.get $n)) (then (return (i32.const 0))))
    ;; The second byte has bounds of its own after four of the first ones.
    (local.set $low (i32.const 0x80))
    (local.set $high (i32.const 0xbf))
    (if (i32.eq (local.get $c) (i32.const 0xe0)) (then (local.set $low (i32.const 0xa0))))
    (if (i32.eq (local.get $c) (i32.const 0xed)) (then (local.set $high (i32.const 0x9f))))
    (if (i32.eq (local.get $c) (i32.const 0xf0)) (then (local.set $low (i32.const 0x90))))
    (if (i32.eq (local.get $c) (i32.const 0xf4)) (then (local.set $high (i32.const 0x8f))))
    (local.set $i (i32.const 1))
    (loop $next
      (if (i32.eqz (call $between
            (i32.load8_u (i32.add (local.get $p) (local.get $i))) (local.get $low) (local.get $high)))
        (then (return (i32.const 0))))
      (local.set $low (i32.const 0x80))
      (local.set $high (i32.const 0xbf))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $length))))
    (local.get $length))

  (func $invalid (param $at i32) (result i32)
    (local $digits i32) (local $rest i32) (local $p i32)
    (local.set $rest (local.get $at))
    (loop $count
      (local.set $digits (i32.add (local.get $digits) (i32.const 1)))
      (local.set $rest (i32.div_u (local.get $rest) (i32.const 10)))
      (br_if $count (local.get $rest)))
    (local.set $p (i32.add (global.get $message_length) (local.get $digits)))
    (loop $next
      (local.set $p (i32.sub (local.get $p) (i32.const 1)))
      (i32.store8 (local.get $p) (i32.add (i32.const 48) (i32.rem_u (local.get $at) (i32.const 10))))
      (local.set $at (i32.div_u (local.get $at) (i32.const 10)))
      (br_if $next (i32.gt_u (local.get $p) (global.get $message_length))))
    (call $invalid_input
      (call $block (i32.const 0) (i32.add (global.get $message_length) (local.get $digits))))
    (i32.const 1))

  (func (export "process") (result i32)
    (local $n i32) (local $i i32) (local $p i32) (local $c i32) (local $length i32)
    (local $total i32) (local $done i32) (local $missing i32)
    (local.set $n (i32.wrap_i64 (call $input_length)))
    (local.set $missing
      (i32.sub (call $part_of (i32.add (global.get $text) (local.get $n))) (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (unreachable)))))
    (call $read (call $input_offset) (global.get $text) (local.get $n))

    (local.set $total (call $part_of (local.get $n)))
    (block $end
      (loop $next
        (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
        (if (i32.ge_u (local.get $i) (i32.shl (local.get $done) (i32.const 16)))
          (then
            (call $report (local.get $done) (local.get $total))
            (local.set $done (i32.add (local.get $done) (i32.const 1)))))
        (local.set $p (i32.add (global.get $text) (local.get $i)))
        (local.set $length (call $utf8 (local.get $p) (i32.sub (local.get $n) (local.get $i))))
        (if (i32.eqz (local.get $length)) (then (return (call $invalid (local.get $i)))))
        (local.set $c (i32.load8_u (local.get $p)))
        (if (call $between (local.get $c) (i32.const 0x61) (i32.const 0x7a))
          (then (i32.store8 (local.get $p) (i32.sub (local.get $c) (i32.const 0x20)))))
        (local.set $i (i32.add (local.get $i) (local.get $length)))
        (br $next)))
    (call $report (local.get $total) (local.get $total))
    (call $output_set (call $block (global.get $text) (local.get $n)) (i64.extend_i32_u (local.get $n)))
    (i32.const 0)))
