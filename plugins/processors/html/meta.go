package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// heading is a heading of the page.
type heading struct {
	Level int    `json:"level"`
	ID    string `json:"id,omitempty"`
	Text  string `json:"text"`
}

// describe says what a page tells about itself: title, language, description, canonical address, <meta> values by name, headings.
func describe(source []byte) ([]byte, error) {
	root, err := parse(source)
	if err != nil {
		return nil, err
	}
	var page struct {
		Title       string            `json:"title"`
		Language    string            `json:"language,omitempty"`
		Description string            `json:"description,omitempty"`
		Canonical   string            `json:"canonical,omitempty"`
		Meta        map[string]string `json:"meta,omitempty"` // the first of each name
		Headings    []heading         `json:"headings"`
	}
	page.Meta, page.Headings = map[string]string{}, []heading{}
	titled := false
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Namespace != "" {
			continue
		}
		switch n.DataAtom {
		case atom.Html:
			page.Language, _ = attribute(n, "lang")
		case atom.Title:
			if !titled {
				page.Title, titled = words(n), true
			}
		case atom.Meta:
			addMeta(page.Meta, n)
		case atom.Link:
			if rel, _ := attribute(n, "rel"); strings.EqualFold(rel, "canonical") && page.Canonical == "" {
				page.Canonical, _ = attribute(n, "href")
			}
		case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
			id, _ := attribute(n, "id")
			page.Headings = append(page.Headings, heading{int(n.Data[1] - '0'), id, words(n)})
		}
	}
	page.Description = page.Meta["description"]
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(page)
	return b.Bytes(), err
}

func addMeta(found map[string]string, n *html.Node) {
	content, ok := attribute(n, "content")
	if !ok {
		return
	}
	for _, key := range []string{"name", "property"} {
		if name, ok := attribute(n, key); ok && name != "" {
			if name = strings.ToLower(name); found[name] == "" {
				found[name] = content
			}
		}
	}
}
