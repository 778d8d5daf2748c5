package main

import (
	"bytes"
	"runtime/debug"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// document is a parsed source.
type document struct {
	source []byte // without front matter
	title  string // of the front matter, else the text of the first heading; may be empty
	root   ast.Node
	md     goldmark.Markdown
}

// A sandbox is put back to the state after its start before each call, so what is made and warmed up here is made once, not once a call.
var (
	standard = newMarkdown(false)
	_        = warmUp()
	_        = collectLater()
)

// collectLater has the garbage collector run less often than it would, as long as memory is far from the host's usual limit: most
// documents are done before it runs at all.
func collectLater() int64 {
	debug.SetGCPercent(400)
	return debug.SetMemoryLimit(128 << 20)
}

func warmUp() bool {
	d := parse([]byte("---\ntitle: x\n---\n# é &copy; `x`\n\n- [x] *a* **b** ~~c~~ <https://x> http://y.org\n\n| a |\n|:-:|\n| b |\n\n"+
		"```go\nx\n```\n\n<p>x &amp; y</p>\n\n> [a](b \"c\") ![d](e)\n\n1. x[^1]\n\n[^1]: y\n"), false)
	dirty, err := d.render()
	return err == nil && policy.SanitizeReader(dirty).Len() > 0 && len(d.blocks(d.root)) > 0
}

// newMarkdown reads and writes GitHub-flavoured Markdown with footnotes. Nothing is left out: what it writes is to be sanitized.
func newMarkdown(hardWraps bool) goldmark.Markdown {
	options := []goldmark.Option{
		goldmark.WithExtensions(
			extension.Linkify, extension.Strikethrough, extension.TaskList, extension.Footnote,
			// The attribute, since the sanitizer lets no style pass.
			extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
		),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(html.WithUnsafe()),
	}
	if hardWraps {
		options = append(options, goldmark.WithRendererOptions(html.WithHardWraps()))
	}
	return goldmark.New(options...)
}

func parse(source []byte, hardWraps bool) *document {
	d := &document{md: standard}
	if hardWraps {
		d.md = newMarkdown(true)
	}
	d.title, d.source = frontMatter(bytes.TrimPrefix(source, []byte("\ufeff")))
	context := parser.NewContext(parser.WithIDs(&slugs{taken: map[string]bool{}}))
	d.root = d.md.Parser().Parse(text.NewReader(d.source), parser.WithContext(context))
	if d.title == "" {
		if h := d.headings(6); len(h) > 0 {
			d.title = h[0].Text
		}
	}
	return d
}

// render gives the HTML, which is not yet sanitized.
func (d *document) render() (*bytes.Buffer, error) {
	var b bytes.Buffer
	err := d.md.Renderer().Render(&b, d.source, d.root)
	return &b, err
}

// heading is one entry of the table of contents.
type heading struct {
	Level int    `json:"level"`
	ID    string `json:"id"`
	Text  string `json:"text"`
}

// headings returns the headings down to a level, in the order of the document.
func (d *document) headings(depth int) []heading {
	found := []heading{}
	for n := d.root.FirstChild(); n != nil; n = n.NextSibling() {
		h, ok := n.(*ast.Heading)
		if !ok || h.Level > depth {
			continue
		}
		id, _ := h.AttributeString("id")
		b, _ := id.([]byte)
		found = append(found, heading{h.Level, string(b), strings.Join(strings.Fields(d.inline(h)), " ")})
	}
	return found
}

// frontMatter cuts off what stands between two lines of "---" at the very beginning, when it looks like "key: value", and returns the
// value of title in it.
func frontMatter(source []byte) (title string, rest []byte) {
	const most = 200 // lines
	lines := bytes.SplitAfterN(source, []byte("\n"), most)
	if len(lines) < 3 || string(bytes.TrimRight(lines[0], " \r\n")) != "---" {
		return "", source
	}
	length := len(lines[0])
	for i, line := range lines[1:] {
		length += len(line)
		s := strings.TrimRight(string(line), " \r\n")
		key, value, isPair := strings.Cut(s, ":")
		switch {
		case s == "---" && i > 0:
			return title, source[length:]
		case i == 0 && (!isPair || strings.ContainsAny(key, " \t#*[<")):
			return "", source
		case key == "title":
			title = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return "", source
}

// slugs makes the ids of headings as GitHub does: lower case, letters and digits of any script, dashes for spaces.
type slugs struct{ taken map[string]bool }

func (s *slugs) Generate(value []byte, _ ast.NodeKind) []byte {
	slug := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case unicode.IsSpace(r):
			return '-'
		}
		return -1
	}, string(bytes.TrimSpace(value)))
	if slug == "" {
		slug = "section"
	}
	id := slug
	for i := 1; s.taken[id]; i++ {
		id = slug + "-" + strconv.Itoa(i)
	}
	s.taken[id] = true
	return []byte(id)
}

func (s *slugs) Put(value []byte) { s.taken[string(value)] = true }
