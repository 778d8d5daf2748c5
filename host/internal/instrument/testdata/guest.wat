;; Guests that try to keep the processor, the stack or the memory to themselves.
;; Built with: wat2wasm --debug-names guest.wat -o guest.wasm
(module
  (type $v (func))
  (memory (export "memory") 1 100)
  (table 2 funcref)
  (elem (i32.const 0) $ping $pong)
  (global $kept (mut i32) (i32.const 7))
  (global $wide (mut i64) (i64.const -1))
  (global $real (mut f64) (f64.const 0.5))

  (func (export "spin") (loop (br 0)))

  (func (export "nested") (param i32)
    (local i32 i32)
    (loop $i
      (local.set 1 (i32.const 1000))
      (loop $j
        (local.set 2 (i32.const 1000))
        (loop $k (br_if $k (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
        (br_if $j (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
      (br $i)))

  ;; a loop whose body is one call of a small function
  (func $small (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
  (func (export "calls") (loop (drop (call $small (i32.const 3))) (br 0)))

  (func $ping (call_indirect (type $v) (i32.const 1)))
  (func $pong (call $ping))
  (func (export "mutual") (call $ping))

  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))

  ;; tail calls keep the stack as it is
  (func $even (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
  (func $odd (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
    (return_call $even (i32.sub (local.get 0) (i32.const 1))))
  (func (export "even") (param i32) (result i32) (call $even (local.get 0)))

  ;; exponential work without a loop or a cycle
  (func $e0 (global.set $kept (i32.add (global.get $kept) (i32.const 1))))
  (func $e1 (call $e0) (call $e0) (call $e0) (call $e0) (call $e0) (call $e0) (call $e0) (call $e0))
  (func $e2 (call $e1) (call $e1) (call $e1) (call $e1) (call $e1) (call $e1) (call $e1) (call $e1))
  (func $e3 (call $e2) (call $e2) (call $e2) (call $e2) (call $e2) (call $e2) (call $e2) (call $e2))
  (func $e4 (call $e3) (call $e3) (call $e3) (call $e3) (call $e3) (call $e3) (call $e3) (call $e3))
  (func $e5 (call $e4) (call $e4) (call $e4) (call $e4) (call $e4) (call $e4) (call $e4) (call $e4))
  (func $e6 (call $e5) (call $e5) (call $e5) (call $e5) (call $e5) (call $e5) (call $e5) (call $e5))
  (func $e7 (call $e6) (call $e6) (call $e6) (call $e6) (call $e6) (call $e6) (call $e6) (call $e6))
  (func $e8 (call $e7) (call $e7) (call $e7) (call $e7) (call $e7) (call $e7) (call $e7) (call $e7))
  (func $e9 (call $e8) (call $e8) (call $e8) (call $e8) (call $e8) (call $e8) (call $e8) (call $e8))
  (func $ea (call $e9) (call $e9) (call $e9) (call $e9) (call $e9) (call $e9) (call $e9) (call $e9))
  (func $eb (call $ea) (call $ea) (call $ea) (call $ea) (call $ea) (call $ea) (call $ea) (call $ea))
  (func $ec (call $eb) (call $eb) (call $eb) (call $eb) (call $eb) (call $eb) (call $eb) (call $eb))
  (func (export "tree") (call $ec) (call $ec))

  (func (export "fills")
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536))) (br 0)))
  (func (export "copies")
    (loop (memory.copy (i32.const 0) (i32.const 1) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))
      (br 0)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))

  (func $down (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
  (func $forever (export "forever") (result i32) (i32.add (i32.const 1) (call $forever)))
  ;; calls a recursive function many times: the stack must be given back
  (func (export "repeat") (param i32 i32) (result i32)
    (local i32)
    (loop
      (local.set 2 (i32.add (local.get 2) (call $down (local.get 1))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 2))

  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "poke") (param i32 i32) (i32.store (local.get 0) (local.get 1)))

  (func (export "kept") (result i32) (global.get $kept))
  (func (export "set") (param i32 i64 f64)
    (global.set $kept (local.get 0)) (global.set $wide (local.get 1)) (global.set $real (local.get 2)))
  (func (export "sum") (param i32) (result i32)
    (local i32)
    (block (loop
      (br_if 1 (i32.eqz (local.get 0)))
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br 0)))
    (local.get 1))
)
