// The json plugin: queries in the language of jq, checks against a JSON Schema, and layout. All functions take one value, or several one
// after the other, as in JSON Lines.
//
// Configuration: query and args for queries, schema and formats for checks, indent for layout; see json.json.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

// process runs the query of the configuration; without one it lays out.
//
//go:wasmexport process
func process() int32 {
	return taskhost.Process(func(source []byte) ([]byte, error) {
		if _, ok := taskhost.Config("query"); ok {
			return runQuery(source)
		}
		return layOut(source)
	})
}

//go:wasmexport query
func queryAlone() int32 { return taskhost.Process(runQuery) }

//go:wasmexport validate
func validateAlone() int32 { return taskhost.Process(validate) }

//go:wasmexport format
func formatAlone() int32 { return taskhost.Process(layOut) }

func main() {}
