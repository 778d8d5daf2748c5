package main

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// reader reads a source and reports how far it is, after each MiB.
type reader struct {
	*bytes.Reader
	size, told int
}

func (r *reader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if done := r.size - r.Len(); done-r.told >= 1<<20 {
		r.told = done
		taskhost.ProgressFraction(float64(done)/float64(r.size), "")
	}
	return n, err
}

// parse makes a tree as a browser does, whatever the source is.
func parse(source []byte) (*html.Node, error) {
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	// Without scripts, as it is read here: what <noscript> holds counts.
	root, err := html.ParseWithOptions(progressing(source), html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil, taskhost.InvalidInput(err) // nested too deep
	}
	return root, nil
}

// attribute returns the value of an attribute; it is not ok when there is none.
func attribute(n *html.Node, key string) (value string, ok bool) {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

// hidden tells whether a reader does not see what is in an element.
func hidden(n *html.Node) bool {
	if _, ok := attribute(n, "hidden"); ok {
		return true
	}
	switch n.DataAtom {
	case atom.Head, atom.Script, atom.Style, atom.Template, atom.Iframe, atom.Object, atom.Svg, atom.Math, atom.Select, atom.Textarea, atom.Audio,
		atom.Video, atom.Canvas:
		return true
	}
	return false
}

// words is the text in a node, on one line, images by what they say they show.
func words(n *html.Node) string {
	var b strings.Builder
	var add func(n *html.Node)
	add = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
		case n.Type == html.ElementNode && n.DataAtom == atom.Img:
			alt, _ := attribute(n, "alt")
			b.WriteString(" " + alt + " ")
		case n.Type == html.ElementNode && hidden(n):
			return
		case n.Type == html.ElementNode && (n.DataAtom == atom.Br || isBlock(n)):
			b.WriteByte(' ')
		}
		for c := range n.ChildNodes() {
			add(c)
		}
	}
	add(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

// isBlock tells whether an element begins on a line of its own.
func isBlock(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Caption, atom.Center, atom.Dd, atom.Details, atom.Dialog, atom.Div, atom.Dl, atom.Dt,
		atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Header,
		atom.Hgroup, atom.Hr, atom.Html, atom.Legend, atom.Li, atom.Main, atom.Menu, atom.Nav, atom.Ol, atom.P, atom.Pre, atom.Search, atom.Section, atom.Summary,
		atom.Table, atom.Tbody, atom.Tfoot, atom.Thead, atom.Tr, atom.Ul:
		return true
	}
	return false
}
