// The reference is a module of its own: Wasmtime is large, and needs a C compiler.
module github.com/taskhost/taskhost/bench/wasmtime

go 1.26.0

require (
	github.com/bytecodealliance/wasmtime-go/v37 v37.0.0
	github.com/taskhost/taskhost/bench v0.0.0
)

replace (
	github.com/taskhost/taskhost => ../../
	github.com/taskhost/taskhost/bench => ../
)
