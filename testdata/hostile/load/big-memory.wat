;; Asks for 2 GiB of memory at the start.
(module
  (memory (export "memory") 32768)
  (func (export "process") (result i32) (i32.const 0)))
