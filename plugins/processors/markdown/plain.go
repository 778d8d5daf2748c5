package main

import (
	"bytes"
	"html"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"

	"github.com/taskhost/taskhost/plugins/internal/place"
)

// toText gives the text that a reader of the rendered document sees: no markup, one blank line between blocks, list items with their
// markers, table cells between tabs, images as their description. HTML tags are dropped.
func toText(source []byte) ([]byte, error) {
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	d := parse(source, false)
	blocks := d.blocks(d.root)
	if len(blocks) == 0 {
		return nil, nil
	}
	return []byte(strings.Join(blocks, "\n\n") + "\n"), nil
}

// blocks returns the text of each block below a node.
func (d *document) blocks(parent ast.Node) []string {
	var found []string
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if s := strings.TrimRight(d.block(n), " \n"); s != "" {
			found = append(found, s)
		}
	}
	return found
}

func (d *document) block(n ast.Node) string {
	switch n := n.(type) {
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		return string(n.Lines().Value(d.source))
	case *ast.HTMLBlock:
		return ""
	case *ast.ThematicBreak:
		return "----"
	case *ast.List:
		return d.list(n)
	case *extast.Table:
		var rows []string
		for row := n.FirstChild(); row != nil; row = row.NextSibling() {
			var cells []string
			for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
				cells = append(cells, d.inline(cell))
			}
			rows = append(rows, strings.Join(cells, "\t"))
		}
		return strings.Join(rows, "\n")
	case *extast.FootnoteList:
		var notes []string
		for i, note := range d.each(n) {
			notes = append(notes, "["+strconv.Itoa(i+1)+"] "+note)
		}
		return strings.Join(notes, "\n")
	}
	if n.FirstChild() != nil && n.FirstChild().Type() == ast.TypeBlock {
		return strings.Join(d.blocks(n), "\n\n")
	}
	return d.inline(n)
}

func (d *document) list(list *ast.List) string {
	gap := "\n\n"
	if list.IsTight {
		gap = "\n"
	}
	var items []string
	for i, item := range d.each(list) {
		marker := "- "
		if list.IsOrdered() {
			marker = strconv.Itoa(list.Start+i) + ". "
		}
		indent := strings.Repeat(" ", len(marker))
		items = append(items, marker+strings.ReplaceAll(item, "\n", "\n"+indent))
	}
	return strings.Join(items, gap)
}

// each returns the text of each child, its blocks on lines of their own.
func (d *document) each(parent ast.Node) []string {
	var found []string
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		found = append(found, strings.Join(d.blocks(n), "\n"))
	}
	return found
}

// inline returns the text of what is inside a block.
func (d *document) inline(block ast.Node) string {
	var b bytes.Buffer
	_ = ast.Walk(block, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(d.unescape(n))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte('\n')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(d.source))
		case *extast.TaskCheckBox:
			b.WriteString(map[bool]string{true: "[x] ", false: "[ ] "}[n.IsChecked])
		case *extast.FootnoteLink:
			b.WriteString("[" + strconv.Itoa(n.Index) + "]")
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// unescape is the text of a node with its backslashes and entities resolved, as the HTML renderer does; in code they stay.
func (d *document) unescape(n *ast.Text) []byte {
	value := n.Segment.Value(d.source)
	if _, code := n.Parent().(*ast.CodeSpan); code || n.IsRaw() {
		return value
	}
	var b []byte
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) && strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", value[i+1]) >= 0 {
			i++
			if value[i] == '&' { // not an entity
				b = append(b, "&amp;"...)
				continue
			}
		}
		b = append(b, value[i])
	}
	return []byte(html.UnescapeString(string(b)))
}
