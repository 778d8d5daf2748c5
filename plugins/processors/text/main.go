// The text plugin: small operations on plain text and on the source of Markdown, chosen by the configuration key "ops".
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

// process applies the operations of the configuration, "normalize" when there is none.
//
//go:wasmexport process
func process() int32 {
	return taskhost.Process(func(text string) (string, error) {
		ops, ok := taskhost.Config("ops")
		if !ok {
			ops = "normalize"
		}
		return apply(text, ops)
	})
}

//go:wasmexport normalize
func normalizeAlone() int32 {
	return taskhost.Process(func(text string) (string, error) { return apply(text, "normalize") })
}

//go:wasmexport count
func countAlone() int32 {
	return taskhost.Process(func(text string) (string, error) { return apply(text, "count") })
}

func main() {}
