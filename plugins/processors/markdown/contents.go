package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"strings"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
)

// toContents lists the headings, as a Markdown list of links, as HTML or as JSON.
func toContents(source []byte) ([]byte, error) {
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	depth, err := config.Number("toc_depth", 3, 1, 6)
	if err != nil {
		return nil, err
	}
	format, err := config.Choice("toc_format", "markdown", "html", "json")
	if err != nil {
		return nil, err
	}
	headings := parse(source, false).headings(depth)
	switch format {
	case "html":
		return listHTML(headings), nil
	case "json":
		b, err := json.Marshal(headings)
		return append(b, '\n'), err
	}
	return listMarkdown(headings), nil
}

// depths gives each heading its depth in the list, from 0: one deeper at most than the one before, whatever levels were left out.
func depths(headings []heading) []int {
	found := make([]int, len(headings))
	var open []int // levels of the headings that the current one is under
	for i, h := range headings {
		for len(open) > 0 && open[len(open)-1] >= h.Level {
			open = open[:len(open)-1]
		}
		found[i] = len(open)
		open = append(open, h.Level)
	}
	return found
}

func listMarkdown(headings []heading) []byte {
	var b bytes.Buffer
	escape := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `*`, `\*`, `_`, `\_`, "`", "\\`", `<`, `\<`, `&`, `\&`)
	for i, depth := range depths(headings) {
		fmt.Fprintf(&b, "%s- [%s](#%s)\n", strings.Repeat("  ", depth), escape.Replace(headings[i].Text), headings[i].ID)
	}
	return b.Bytes()
}

func listHTML(headings []heading) []byte {
	var b bytes.Buffer
	open := 0
	for i, depth := range depths(headings) {
		if depth == open {
			b.WriteString("<ul>\n")
			open++
		} else {
			b.WriteString("</li>\n")
			for ; open > depth+1; open-- {
				b.WriteString("</ul>\n</li>\n")
			}
		}
		fmt.Fprintf(&b, `<li><a href="#%s">%s</a>`, html.EscapeString(headings[i].ID), html.EscapeString(headings[i].Text))
	}
	for ; open > 0; open-- {
		b.WriteString("</li>\n</ul>\n")
	}
	return b.Bytes()
}
