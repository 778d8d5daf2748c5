// Package taskhost turns Go functions into plugins for taskhost.
//
// A plugin is a program built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o shout.wasm .
//
// whose exported functions are the steps and actions that tasks are made of. One line makes one:
//
//	package main
//
//	import (
//		"strings"
//
//		taskhost "github.com/taskhost/taskhost/sdk/go"
//	)
//
//	//go:wasmexport process
//	func process() int32 { return taskhost.Process(shout) }
//
//	func shout(text string) (string, error) { return strings.ToUpper(text) + "!", nil }
//
//	func main() {}
//
// [Process] is for steps: bytes or text in, bytes or text out. [Action] is for agents: a JSON object in, a JSON object out.
// An error that the function returns is the error of the task; wrap it with [InvalidInput] when the input is at fault, and the
// task is not tried again. A panic is an error too.
//
// While it runs, a function can report progress, ask whether the task was cancelled, read its configuration, log, count, keep vars,
// save checkpoints and make HTTP requests, with the functions of this package. They belong to the call: use them only until the function returns,
// from any goroutine that the function started and waits for.
//
// On any other platform than wasip1 the package compiles as well and does nothing: no input, no configuration, reports go nowhere.
// Package sdktest makes a call of an exported function there, with an input, and tells what it did.
package taskhost
