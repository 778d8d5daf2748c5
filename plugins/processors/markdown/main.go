// The markdown plugin: GitHub-flavoured Markdown to sanitized HTML, to a table of contents, and to plain text.
//
// Configuration, for process: standalone=true makes a whole page, with title, lang and a small style sheet; hard_wraps=true makes
// each line break one in the HTML. For toc: toc_format is markdown (default), html or json; toc_depth is the lowest heading, 1 to 6,
// default 3.
package main

import taskhost "github.com/taskhost/taskhost/sdk/go"

//go:wasmexport process
func process() int32 { return taskhost.Process(toHTML) }

//go:wasmexport toc
func toc() int32 { return taskhost.Process(toContents) }

//go:wasmexport text
func plain() int32 { return taskhost.Process(toText) }

func main() {}
