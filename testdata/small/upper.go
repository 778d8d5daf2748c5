// The smallest processor in Go: a to z in capitals. The others of this folder do the same.
package main

import (
	"bytes"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

//go:wasmexport process
func process() int32 {
	return taskhost.Process(func(text []byte) ([]byte, error) { return bytes.ToUpper(text), nil })
}

func main() {}
