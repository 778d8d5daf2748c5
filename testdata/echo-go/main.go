// Gives back its input: what the Go SDK takes to copy it in and out.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 {
	return taskhost.Process(func(in []byte) ([]byte, error) { return in, nil })
}

func main() {}
