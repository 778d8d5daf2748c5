// Markdown in Go: a document with headings, lists, tables and code becomes HTML.
package main

import (
	"bytes"
	"fmt"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/taskhost/taskhost/bench/programs/words"
)

const sections = 12

var (
	document = generate()
	markdown = goldmark.New(goldmark.WithExtensions(extension.GFM))
)

func generate() []byte {
	var s words.Source
	var b bytes.Buffer
	for i := range sections {
		fmt.Fprintf(&b, "## %d %s\n\n%s *%s* and **%s**, `%s` [%s](https://example.org/%s).\n\n",
			i, s.Phrase(3), s.Phrase(60), s.Phrase(2), s.Word(), s.Phrase(2), s.Phrase(3), s.Word())
		for range 5 {
			fmt.Fprintf(&b, "- %s\n  - ~~%s~~ &amp; https://example.org\n", s.Phrase(8), s.Phrase(4))
		}
		fmt.Fprintf(&b, "\n> %s\n\n```\n%s\n```\n\n| a | b |\n|---|--:|\n", s.Phrase(20), s.Phrase(20))
		for range 5 {
			fmt.Fprintf(&b, "| %s | %d |\n", s.Phrase(3), s.N(1000))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

//go:wasmexport run
func run() int32 {
	var html bytes.Buffer
	if err := markdown.Convert(document, &html); err != nil {
		return 1
	}
	for tag, n := range map[string]int{"<h2>": 1, "<li>": 10, "<del>": 5, "<blockquote>": 1, "<pre>": 1, "<tr>": 6, "<a href=": 6} {
		if bytes.Count(html.Bytes(), []byte(tag)) != n*sections {
			return 2
		}
	}
	return 0
}

func main() {}
