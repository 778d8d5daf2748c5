;; Storms of bulk operations on the whole of a memory of 16 MiB.
;;
;;   fill  memory.fill, again and again.
;;   copy  memory.copy, up and down.
;;   init  memory.init of a segment, everywhere.
;;   fine  succeeds.
(module
  (memory (export "memory") 256)
  (data $segment "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
  (func (export "fill") (result i32)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x1000000))
      (br $again))
    (i32.const 0))
  (func (export "copy") (result i32)
    (loop $again
      (memory.copy (i32.const 1) (i32.const 0) (i32.const 0xffffff))
      (memory.copy (i32.const 0) (i32.const 1) (i32.const 0xffffff))
      (br $again))
    (i32.const 0))
  (func (export "init") (result i32)
    (local $at i32)
    (loop $again
      (memory.init $segment (local.get $at) (i32.const 0) (i32.const 64))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 64)) (i32.const 0xffffbf)))
      (br $again))
    (i32.const 0))
  (func (export "fine") (result i32) (i32.const 0)))
