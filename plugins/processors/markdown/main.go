// The markdown plugin: GitHub-flavoured Markdown to sanitized HTML, to a table of contents, and to plain text.
//
// Configuration, for process: standalone=true makes a whole page, with title, lang and a small style sheet; hard_wraps=true makes
// each line break one in the HTML. For toc: toc_format is markdown (default), html or json; toc_depth is the lowest heading, 1 to 6,
// default 3.
package main

import (
	"strconv"
	"unicode/utf8"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

//go:wasmexport process
func process() int32 { return taskhost.Process(toHTML) }

//go:wasmexport toc
func toc() int32 { return taskhost.Process(toContents) }

//go:wasmexport text
func plain() int32 { return taskhost.Process(toText) }

func main() {}

// checkUTF8 names the first byte that is none.
func checkUTF8(source []byte) error {
	for i := 0; i < len(source); {
		r, n := utf8.DecodeRune(source[i:])
		if r == utf8.RuneError && n == 1 {
			return taskhost.InvalidInputf("invalid UTF-8 at byte %d", i)
		}
		i += n
	}
	return nil
}

// flag returns a configuration value that is true or false.
func flag(key string) (bool, error) {
	value, ok := taskhost.Config(key)
	if !ok {
		return false, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, taskhost.InvalidInputf("config %s: %q is neither true nor false", key, value)
	}
	return b, nil
}

// option returns a configuration value, or a standard one.
func option(key, standard string) string {
	if value, ok := taskhost.Config(key); ok {
		return value
	}
	return standard
}
