// The redact plugin: finds mail addresses, numbers of cards and accounts, and secrets in text, and takes them out, lists or refuses them.
//
// What it finds never leaves it but masked: no error, log, metric or report has it.
//
// Configuration: detect, patterns, mode, keep and hash_key; see redact.json.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 { return taskhost.Process(redact) }

//go:wasmexport report
func reportAlone() int32 { return taskhost.Process(report) }

//go:wasmexport check
func checkAlone() int32 { return taskhost.Process(check) }

func main() {}
