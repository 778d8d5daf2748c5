;; Imports a global that nobody provides, which no stub can stand in for.
(module
  (import "env" "global" (global i32))
  (func (export "process")))
