package main

import (
	"fmt"
	"strings"
)

// facts is text of one fact a line, each with its name before it.
type facts struct {
	app  *app
	text strings.Builder
}

// line adds a fact; what is empty is left out.
func (f *facts) line(key, value string) {
	if value != "" {
		fmt.Fprintf(&f.text, "%s %s\n", f.app.paint(f.app.stdout, bold, fmt.Sprintf("%-14s", key)), value)
	}
}

// list adds facts of one name.
func (f *facts) list(key string, values []string) {
	for i, v := range values {
		if i > 0 {
			key = ""
		}
		f.line(key, v)
	}
}
