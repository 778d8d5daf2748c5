package main

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// htmlStart is how HTML that a plugin made begins. Markdown may begin so too, but does not end in a tag.
var htmlStart = regexp.MustCompile(`(?i)^<(!doctype html|html|head|body|main|article|section|nav|header|div|p|h[1-6]|ul|ol|dl|pre|blockquote|table|hr|img|a)\b`)

// extensionFor chooses the extension of a result: that of what it looks like, or the input's.
func extensionFor(output []byte, input string) string {
	text := bytes.TrimSpace(output)
	switch {
	case len(text) == 0:
		return input
	case htmlStart.Match(text) && text[len(text)-1] == '>':
		return ".html"
	case (text[0] == '{' || text[0] == '[') && json.Valid(text):
		return ".json"
	}
	return input
}
