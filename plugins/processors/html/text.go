package main

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/taskhost/taskhost/plugins/internal/config"
)

// toText gives what a reader of the page sees: one blank line between blocks, list items with their markers, quotes with theirs, table
// cells between tabs, images as their description. Config links adds the addresses of links: inline in parentheses, or as a list at the end.
func toText(source []byte) ([]byte, error) {
	links, err := config.Choice("links", "none", "inline", "list")
	if err != nil {
		return nil, err
	}
	root, err := parse(source)
	if err != nil {
		return nil, err
	}
	t := &texter{links: links}
	blocks := t.blocks(root)
	if len(t.urls) > 0 {
		var list []string
		for i, url := range t.urls {
			list = append(list, "["+strconv.Itoa(i+1)+"] "+url)
		}
		blocks = append(blocks, strings.Join(list, "\n"))
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	return []byte(strings.Join(blocks, "\n\n") + "\n"), nil
}

type texter struct {
	links string
	urls  []string // of links: list
}

// blocks returns the text of each block in a node, and of what stands between them.
func (t *texter) blocks(parent *html.Node) []string {
	var found []string
	var line strings.Builder // of what is no block
	flush := func() {
		if s := tidy(line.String()); s != "" {
			found = append(found, s)
		}
		line.Reset()
	}
	for n := range parent.ChildNodes() {
		if holdsBlock(n) {
			flush()
			found = append(found, t.block(n)...)
		} else {
			t.inline(&line, n)
		}
	}
	flush()
	return found
}

// holdsBlock tells whether a node is a block or has one in it, as a <span> or an <a> can.
func holdsBlock(n *html.Node) bool {
	if n.Type != html.ElementNode || hidden(n) {
		return false
	}
	if isBlock(n) {
		return true
	}
	for c := range n.ChildNodes() {
		if holdsBlock(c) {
			return true
		}
	}
	return false
}

func (t *texter) block(n *html.Node) []string {
	switch n.DataAtom {
	case atom.Hr:
		return []string{"----"}
	case atom.Pre:
		var b strings.Builder
		verbatim(&b, n)
		if s := strings.Trim(b.String(), "\n"); strings.TrimSpace(s) != "" {
			return []string{s}
		}
		return nil
	case atom.Ul, atom.Ol, atom.Menu:
		return one(t.list(n))
	case atom.Dl:
		return one(strings.Join(t.blocks(n), "\n"))
	case atom.Dd:
		return one(indent(strings.Join(t.blocks(n), "\n"), "  ", "  "))
	case atom.Blockquote:
		return one(indent(strings.Join(t.blocks(n), "\n\n"), "> ", "> "))
	case atom.Tr:
		var cells []string
		for c := range n.ChildNodes() {
			if c.Type == html.ElementNode && (c.DataAtom == atom.Td || c.DataAtom == atom.Th) {
				cells = append(cells, strings.Join(strings.Fields(strings.Join(t.blocks(c), " ")), " "))
			}
		}
		return one(strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	case atom.Table, atom.Thead, atom.Tbody, atom.Tfoot:
		return one(strings.Join(t.blocks(n), "\n"))
	}
	return t.blocks(n)
}

// one is a list of a text, or of none.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (t *texter) list(n *html.Node) string {
	var items []string
	number := 1
	if start, ok := attribute(n, "start"); ok {
		if i, err := strconv.Atoi(start); err == nil {
			number = i
		}
	}
	for c := range n.ChildNodes() {
		if c.Type != html.ElementNode || hidden(c) {
			continue
		}
		marker := "- "
		if n.DataAtom == atom.Ol {
			marker = strconv.Itoa(number) + ". "
			number++
		}
		var parts []string
		if c.DataAtom == atom.Li {
			parts = t.blocks(c)
		} else {
			parts = t.block(c)
		}
		if text := strings.Join(parts, "\n"); text != "" {
			items = append(items, indent(text, marker, strings.Repeat(" ", len(marker))))
		}
	}
	return strings.Join(items, "\n")
}

// indent puts something before the first line and before the others.
func indent(text, first, rest string) string {
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines[1:] {
		lines[i+1] = strings.TrimRight(rest+line, " ")
	}
	return first + strings.Join(lines, "\n")
}

// inline writes what is on a line; a <br> is "\n", other white space is for tidy.
func (t *texter) inline(b *strings.Builder, n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		b.WriteString(strings.NewReplacer("\n", " ", "\r", " ").Replace(n.Data))
		return
	case n.Type != html.ElementNode && n.Type != html.DocumentNode, n.Type == html.ElementNode && hidden(n):
		return
	case n.DataAtom == atom.Br:
		b.WriteByte('\n')
	case n.DataAtom == atom.Img:
		alt, _ := attribute(n, "alt")
		b.WriteString(alt)
	}
	for c := range n.ChildNodes() {
		t.inline(b, c)
	}
	if href, ok := attribute(n, "href"); ok && n.DataAtom == atom.A && t.links != "none" {
		t.link(b, n, strings.TrimSpace(href))
	}
}

func (t *texter) link(b *strings.Builder, n *html.Node, href string) {
	switch {
	case href == "" || href[0] == '#' || href == words(n):
	case t.links == "inline":
		b.WriteString(" (" + href + ")")
	default:
		t.urls = append(t.urls, href)
		b.WriteString(" [" + strconv.Itoa(len(t.urls)) + "]")
	}
}

// verbatim writes text with its white space.
func verbatim(b *strings.Builder, n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		b.WriteString(n.Data)
	case n.Type == html.ElementNode && hidden(n):
		return
	case n.DataAtom == atom.Br:
		b.WriteByte('\n')
	}
	for c := range n.ChildNodes() {
		verbatim(b, c)
	}
}

// tidy makes one space of white space, and leaves none at the ends of lines.
func tidy(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
