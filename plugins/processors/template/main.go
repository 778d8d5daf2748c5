// The template plugin: text from data by a template in the language of Go's text/template.
//
// Configuration: template is the template; missing=error makes a key that the data has not an error, instead of nothing; see
// template.json.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 { return taskhost.Process(renderOne) }

//go:wasmexport each
func eachAlone() int32 { return taskhost.Process(renderEach) }

//go:wasmexport text
func textAlone() int32 { return taskhost.Process(renderText) }

func main() {}
