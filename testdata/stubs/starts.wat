;; Calls a function that nobody provides when it starts.
(module
  (import "env" "setup" (func $setup))
  (func (export "_initialize") (call $setup))
  (func (export "process")))
