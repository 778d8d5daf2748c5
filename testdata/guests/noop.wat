;; The smallest plugin: noop does nothing and succeeds.
(module
  (func (export "noop") (result i32) (i32.const 0)))
