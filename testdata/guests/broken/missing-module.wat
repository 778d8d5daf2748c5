;; Imports from a module that nobody has.
(module
  (import "env" "emscripten_notify_memory_growth" (func (param i32)))
  (func (export "process") (result i32) (i32.const 0)))
