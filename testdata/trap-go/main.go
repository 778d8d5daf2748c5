// Command trap-go fails in ways that a test knows: see host/stack_test.go.
package main

import (
	"strings"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

//go:wasmexport forever
func forever() int32 { return taskhost.Process(spin) }

//go:noinline
func spin(input []byte) ([]byte, error) {
	n := 0
	for {
		n += strings.Count(string(input), "l")
		if n < 0 {
			return nil, nil
		}
	}
}

//go:wasmexport panics
func panics() int32 { return taskhost.Process(broken) }

//go:noinline
func broken(input []byte) ([]byte, error) {
	var list []byte
	return append(list, list[len(input)]), nil
}

func main() {}
