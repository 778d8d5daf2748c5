// The agent plugin: actions to try taskhost with, and to be of use. Each takes a JSON object of arguments and gives a JSON object.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport status
func status() int32 { return taskhost.Action(reportStatus) }

//go:wasmexport echo
func echo() int32 { return taskhost.Action(giveBack) }

//go:wasmexport fetch
func fetch() int32 { return taskhost.Action(fetchURL) }

//go:wasmexport summarize
func summarize() int32 { return taskhost.Action(summarizeText) }

//go:wasmexport count
func count() int32 { return taskhost.Action(countSteps) }

func main() {}
