// The html plugin: HTML made safe to show, as text to read, and its links and facts as JSON.
//
// Configuration: policy for process; links for text; base, kinds and unique for links; see html.json.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 { return taskhost.Process(sanitize) }

//go:wasmexport sanitize
func sanitizeAlone() int32 { return taskhost.Process(sanitize) }

//go:wasmexport text
func textAlone() int32 { return taskhost.Process(toText) }

//go:wasmexport links
func linksAlone() int32 { return taskhost.Process(listLinks) }

//go:wasmexport meta
func metaAlone() int32 { return taskhost.Process(describe) }

func main() {}
