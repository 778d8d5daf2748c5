// The csv plugin: CSV to JSON and back, columns picked, rows filtered, and columns summed up. It reads and writes row by row.
//
// Configuration of all functions: delimiter is one character, or the word tab, default ","; header=false when the first row is data, the
// columns are then called column_1, column_2…; comment is a character that lines begin with that are left out; lazy_quotes=true takes
// quotes as they come. See csv.json for what each function takes besides.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 { return taskhost.Process(toJSON) }

//go:wasmexport json
func jsonAlone() int32 { return taskhost.Process(toJSON) }

//go:wasmexport from_json
func fromJSONAlone() int32 { return taskhost.Process(fromJSON) }

//go:wasmexport select
func selectAlone() int32 { return taskhost.Process(selectColumns) }

//go:wasmexport filter
func filterAlone() int32 { return taskhost.Process(filterRows) }

//go:wasmexport stats
func statsAlone() int32 { return taskhost.Process(statistics) }

func main() {}
