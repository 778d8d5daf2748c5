;; Imports a table that nobody provides, which no stub can stand in for.
(module
  (import "env" "table" (table 1 funcref))
  (func (export "process")))
