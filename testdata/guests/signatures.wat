;; Exports that can be called, and exports that cannot.
;;
;;   nothing                   () -> ()     can be called
;;   one                       () -> i32    can be called
;;   parameters, wide, two, float           cannot
;;   memory, table, counter                 are not functions
;;   _hidden                   () -> i32    a name that begins with an underscore
(module
  (memory (export "memory") 1)
  (table (export "table") 1 funcref)
  (global (export "counter") (mut i32) (i32.const 0))
  (func (export "nothing"))
  (func (export "one") (result i32) (i32.const 0))
  (func (export "parameters") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "wide") (result i64) (i64.const 0))
  (func (export "two") (result i32 i32) (i32.const 0) (i32.const 0))
  (func (export "float") (result f64) (f64.const 0))
  (func (export "_hidden") (result i32) (i32.const 0)))
