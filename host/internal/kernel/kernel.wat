;; The kernel: the memory through which a plugin and its host exchange blocks, and Extism's functions on it.
;; One instance of it belongs to each plugin instance and is linked to it wasm to wasm as "extism:host/env".
;; See kernel.go for the layout. Rebuild kernel.wasm with `go generate ./host/internal/kernel`.
(module
  (import "taskhost:env" "fault" (func $fault (param i32 i64 i64)))
  (import "taskhost:env" "config_get" (func $config_get (param i64) (result i64)))
  (import "taskhost:env" "var_get" (func $var_get (param i64) (result i64)))
  (import "taskhost:env" "var_set" (func $var_set (param i64 i64)))
  (import "taskhost:env" "http_request" (func $http_request (param i64 i64) (result i64)))
  (import "taskhost:env" "http_status_code" (func $http_status_code (result i32)))
  (import "taskhost:env" "http_headers" (func $http_headers (result i64)))
  (import "taskhost:env" "get_log_level" (func $get_log_level (result i32)))
  (import "taskhost:env" "log_trace" (func $log_trace (param i64)))
  (import "taskhost:env" "log_debug" (func $log_debug (param i64)))
  (import "taskhost:env" "log_info" (func $log_info (param i64)))
  (import "taskhost:env" "log_warn" (func $log_warn (param i64)))
  (import "taskhost:env" "log_error" (func $log_error (param i64)))
  (export "config_get" (func $config_get))
  (export "var_get" (func $var_get))
  (export "var_set" (func $var_set))
  (export "http_request" (func $http_request))
  (export "http_status_code" (func $http_status_code))
  (export "http_headers" (func $http_headers))
  (export "get_log_level" (func $get_log_level))
  (export "log_trace" (func $log_trace))
  (export "log_debug" (func $log_debug))
  (export "log_info" (func $log_info))
  (export "log_warn" (func $log_warn))
  (export "log_error" (func $log_error))

  (memory (export "memory") 1)

  ;; What the host reads and writes between calls stands at the beginning of the memory, little-endian:
  ;;    0  i64  offset of the output         40  i64  size of all blocks together, which begin at 1024
  ;;    8  i64  length of the output         48  i64  number of offsets in them at which eight bytes can be loaded
  ;;   16  i64  offset of the error message  56  i32  whether a block was freed, so that the free lists are not empty
  ;;   24  i64  length of the input          60  i32  what reset alone puts back: 1: $end was moved, 2: the input was set
  ;;   32  i64  number of offsets of the input at which eight bytes can be loaded
  ;; The 32 heads of the free lists stand at 64.

  ;; Size of the memory in bytes, as the guest may use it. A call before may have grown the real memory further.
  (global $end (mut i64) (i64.const 65536))
  ;; Offset of the input, if there is one: the host puts it into the first block.
  (global $in (mut i64) (i64.const 1040))

  ;; Traps unless [p, p+n) lies in the area of the blocks. $f is the number of the function that asks, for the message.
  (func $check (param $f i32) (param $p i64) (param $n i64)
    (local $size i64)
    (local.set $size (i64.load offset=40 (i32.const 0)))
    (local.set $p (i64.sub (local.get $p) (i64.const 1024)))
    (if (i32.or
          (i64.gt_u (local.get $p) (local.get $size))
          (i64.gt_u (local.get $n) (i64.sub (local.get $size) (local.get $p))))
      (then
        (call $fault (local.get $f) (i64.add (local.get $p) (i64.const 1024)) (local.get $n))
        (unreachable))))

  ;; Number of the highest bit set; $n is not 0.
  (func $log2 (param $n i32) (result i32)
    (i32.sub (i32.const 31) (i32.clz (local.get $n))))

  ;; Takes the first block of free list $class if it has room for $need bytes, header included; 0 if there is none.
  (func $take (param $class i32) (param $need i32) (result i32)
    (local $slot i32) (local $b i32)
    (local.set $slot (i32.add (i32.const 64) (i32.shl (local.get $class) (i32.const 2))))
    (local.set $b (i32.load (local.get $slot)))
    (if (i32.eqz (local.get $b)) (then (return (i32.const 0))))
    (if (i32.lt_u (i32.load (local.get $b)) (local.get $need)) (then (return (i32.const 0))))
    (i32.store (local.get $slot) (i32.load offset=12 (local.get $b)))
    (local.get $b))

  ;; Takes $need bytes from the end, growing the memory as it must, by whole pages.
  (func $bump (param $need i32) (result i32)
    (local $b i32) (local $new i64) (local $pages i32)
    (local.set $b (i32.add (i32.load offset=40 (i32.const 0)) (i32.const 1024)))
    (local.set $new (i64.add (i64.extend_i32_u (local.get $b)) (i64.extend_i32_u (local.get $need))))
    (if (i64.gt_u (local.get $new) (global.get $end))
      (then
        (local.set $pages (i32.sub
          (i32.wrap_i64 (i64.shr_u (i64.add (local.get $new) (i64.const 65535)) (i64.const 16)))
          (memory.size)))
        (if (i32.gt_s (local.get $pages) (i32.const 0))
          (then
            (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
              (then
                (call $fault (i32.const 0) (i64.const 0) (i64.extend_i32_u (local.get $need)))
                (unreachable)))))
        (global.set $end (i64.and (i64.add (local.get $new) (i64.const 65535)) (i64.const -65536)))
        (i32.store offset=60 (i32.const 0) (i32.or (i32.load offset=60 (i32.const 0)) (i32.const 1)))))
    (i64.store offset=40 (i32.const 0) (i64.sub (local.get $new) (i64.const 1024)))
    (i64.store offset=48 (i32.const 0) (i64.sub (local.get $new) (i64.const 1031)))
    (i32.store (local.get $b) (local.get $need))
    (local.get $b))

  (func $alloc (export "alloc") (param $n i64) (result i64)
    (local $need i32) (local $class i32) (local $b i32) (local $p i32)
    (if (i64.eqz (local.get $n)) (then (return (i64.const 0))))
    (if (i64.gt_u (local.get $n) (i64.const 0xfffe0000))
      (then
        (call $fault (i32.const 0) (i64.const 0) (local.get $n))
        (unreachable)))
    (local.set $need (i32.and (i32.add (i32.wrap_i64 (local.get $n)) (i32.const 31)) (i32.const -16)))
    (if (i32.load offset=56 (i32.const 0))
      (then
        (local.set $class (call $log2 (local.get $need)))
        (local.set $b (call $take (local.get $class) (local.get $need)))
        (if (i32.and (i32.eqz (local.get $b)) (i32.lt_u (local.get $class) (i32.const 31)))
          (then (local.set $b (call $take (i32.add (local.get $class) (i32.const 1)) (local.get $need)))))))
    (if (i32.eqz (local.get $b)) (then (local.set $b (call $bump (local.get $need)))))
    (local.set $p (i32.add (local.get $b) (i32.const 16)))
    (i32.store offset=4 (local.get $b) (i32.wrap_i64 (local.get $n)))
    (i32.store offset=8 (local.get $b) (i32.xor (local.get $p) (i32.const 0x6b736174)))
    (i64.extend_i32_u (local.get $p)))

  ;; The header of the block whose data is at $p, or 0 if there is no such block.
  (func $block (param $p i64) (result i32)
    (local $b i32)
    (if (i32.or
          (i64.lt_u (local.get $p) (i64.const 1040))
          (i64.ge_u (i64.sub (local.get $p) (i64.const 1024)) (i64.load offset=40 (i32.const 0))))
      (then (return (i32.const 0))))
    (local.set $b (i32.sub (i32.wrap_i64 (local.get $p)) (i32.const 16)))
    (if (i32.ne (i32.load offset=8 (local.get $b)) (i32.xor (i32.wrap_i64 (local.get $p)) (i32.const 0x6b736174)))
      (then (return (i32.const 0))))
    (local.get $b))

  (func (export "free") (param $p i64)
    (local $b i32) (local $slot i32)
    (local.set $b (call $block (local.get $p)))
    (if (i32.eqz (local.get $b)) (then (return)))
    (if (i32.and
          (i64.eq (local.get $p) (global.get $in))
          (i64.ne (i64.load offset=24 (i32.const 0)) (i64.const 0)))
      (then (call $set_input (local.get $p) (i64.const 0))))
    (local.set $slot (i32.add (i32.const 64) (i32.shl (call $log2 (i32.load (local.get $b))) (i32.const 2))))
    (i32.store offset=56 (i32.const 0) (i32.const 1))
    (i32.store offset=8 (local.get $b) (i32.const 0))
    (i32.store offset=12 (local.get $b) (i32.load (local.get $slot)))
    (i32.store (local.get $slot) (local.get $b)))

  (func $length (export "length") (export "length_unsafe") (param $p i64) (result i64)
    (local $b i32)
    (local.set $b (call $block (local.get $p)))
    (if (i32.eqz (local.get $b)) (then (return (i64.const 0))))
    (i64.load32_u offset=4 (local.get $b)))

  (func (export "load_u8") (param $p i64) (result i32)
    (if (i64.ge_u (i64.sub (local.get $p) (i64.const 1024)) (i64.load offset=40 (i32.const 0)))
      (then (call $check (i32.const 1) (local.get $p) (i64.const 1))))
    (i32.load8_u (i32.wrap_i64 (local.get $p))))
  (func (export "load_u64") (param $p i64) (result i64)
    (if (i64.ge_u (i64.sub (local.get $p) (i64.const 1024)) (i64.load offset=48 (i32.const 0)))
      (then (call $check (i32.const 2) (local.get $p) (i64.const 8))))
    (i64.load (i32.wrap_i64 (local.get $p))))
  (func (export "store_u8") (param $p i64) (param $v i32)
    (if (i64.ge_u (i64.sub (local.get $p) (i64.const 1024)) (i64.load offset=40 (i32.const 0)))
      (then (call $check (i32.const 3) (local.get $p) (i64.const 1))))
    (i32.store8 (i32.wrap_i64 (local.get $p)) (local.get $v)))
  (func (export "store_u64") (param $p i64) (param $v i64)
    (if (i64.ge_u (i64.sub (local.get $p) (i64.const 1024)) (i64.load offset=48 (i32.const 0)))
      (then (call $check (i32.const 4) (local.get $p) (i64.const 8))))
    (i64.store (i32.wrap_i64 (local.get $p)) (local.get $v)))

  (func $set_input (param $p i64) (param $n i64)
    (global.set $in (local.get $p))
    (i64.store offset=24 (i32.const 0) (local.get $n))
    (i64.store offset=32 (i32.const 0)
      (select (i64.sub (local.get $n) (i64.const 7)) (i64.const 0) (i64.ge_u (local.get $n) (i64.const 8))))
    (i32.store offset=60 (i32.const 0) (i32.or (i32.load offset=60 (i32.const 0)) (i32.const 2))))

  ;; Past the input's end these read 0, as Extism's kernel does.
  (func (export "input_load_u8") (param $o i64) (result i32)
    (if (i64.ge_u (local.get $o) (i64.load offset=24 (i32.const 0))) (then (return (i32.const 0))))
    (i32.load8_u (i32.wrap_i64 (i64.add (global.get $in) (local.get $o)))))
  (func (export "input_load_u64") (param $o i64) (result i64)
    (if (i64.ge_u (local.get $o) (i64.load offset=32 (i32.const 0))) (then (return (i64.const 0))))
    (i64.load (i32.wrap_i64 (i64.add (global.get $in) (local.get $o)))))
  (func (export "input_length") (result i64) (i64.load offset=24 (i32.const 0)))
  (func (export "input_offset") (result i64)
    (select (global.get $in) (i64.const 0)
      (i32.or (i64.ne (i64.load offset=24 (i32.const 0)) (i64.const 0)) (i32.and (i32.load offset=60 (i32.const 0)) (i32.const 2)))))
  (func (export "output_length") (result i64) (i64.load offset=8 (i32.const 0)))
  (func (export "output_offset") (result i64) (i64.load (i32.const 0)))

  (func (export "input_set") (param $p i64) (param $n i64)
    (if (i64.ne (local.get $n) (i64.const 0)) (then (call $check (i32.const 5) (local.get $p) (local.get $n))))
    (call $set_input (local.get $p) (local.get $n)))
  (func (export "output_set") (param $p i64) (param $n i64)
    (if (i64.ne (local.get $n) (i64.const 0)) (then (call $check (i32.const 6) (local.get $p) (local.get $n))))
    (i64.store (i32.const 0) (local.get $p))
    (i64.store offset=8 (i32.const 0) (local.get $n)))
  (func (export "error_set") (param $p i64) (i64.store offset=16 (i32.const 0) (local.get $p)))
  (func (export "error_get") (result i64) (i64.load offset=16 (i32.const 0)))
  (func (export "memory_bytes") (result i64) (i64.sub (global.get $end) (i64.const 1024)))

  ;; Forgets every block and leaves no byte of them.
  (func $reset (export "reset")
    (memory.fill (i32.const 1024) (i32.const 0) (i32.load offset=40 (i32.const 0)))
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 192))
    (global.set $end (i64.const 65536))
    (global.set $in (i64.const 1040)))

  ;; For the host: begins a call with an input of $n bytes and returns where to write it.
  (func (export "begin") (param $n i64) (result i64)
    (call $reset)
    (call $set_input (call $alloc (local.get $n)) (local.get $n))
    (global.get $in))
)
