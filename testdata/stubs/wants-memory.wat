;; Imports a memory that nobody provides, which no stub can stand in for.
(module
  (import "env" "memory" (memory 1))
  (func (export "process")))
