package main

import (
	"bytes"

	"github.com/microcosm-cc/bluemonday"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
)

// A sandbox is put back to the state after its start before each call, so what is made here is made once, not once a call.
var policies = map[string]*bluemonday.Policy{
	"page":   bluemonday.UGCPolicy(),
	"basic":  basicPolicy(),
	"strict": bluemonday.StrictPolicy(),
}

// basicPolicy lets paragraphs, lists, quotes, code, emphasis and links pass: what a comment needs.
func basicPolicy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowStandardURLs()
	p.AllowAttrs("href").OnElements("a")
	p.RequireNoFollowOnLinks(true)
	p.AllowElements("p", "br", "blockquote", "pre", "code", "ul", "ol", "li", "b", "strong", "i", "em", "u", "s", "del", "sub", "sup")
	return p
}

// sanitize takes out what could do anything on the page that shows it, and what config policy does not let pass.
func sanitize(source []byte) ([]byte, error) {
	policy, err := config.Choice("policy", "page", "basic", "strict")
	if err != nil {
		return nil, err
	}
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	return policies[policy].SanitizeReader(progressing(source)).Bytes(), nil
}

// progressing reads source and reports how far it is.
func progressing(source []byte) *reader { return &reader{bytes.NewReader(source), len(source), 0} }
