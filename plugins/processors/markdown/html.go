package main

import (
	"bytes"
	"html"
	"regexp"

	"github.com/microcosm-cc/bluemonday"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// toHTML renders and sanitizes: what the result contains can be shown on a page of one's own, whoever wrote the source.
func toHTML(source []byte) ([]byte, error) {
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	standalone, err := config.Flag("standalone", false)
	if err != nil {
		return nil, err
	}
	hardWraps, err := config.Flag("hard_wraps", false)
	if err != nil {
		return nil, err
	}
	taskhost.Progress(0, 3, "parsing")
	d := parse(source, hardWraps)

	taskhost.Progress(1, 3, "rendering")
	dirty, err := d.render()
	if err != nil {
		return nil, err
	}
	taskhost.Progress(2, 3, "sanitizing")
	clean := policy.SanitizeReader(dirty)
	if standalone {
		clean = page(d.title, clean.Bytes())
	}
	taskhost.Progress(3, 3, "")
	return clean.Bytes(), nil
}

var policy = newPolicy()

// newPolicy is bluemonday's for what users write, and what GitHub-flavoured Markdown needs besides: the language of code, task lists,
// footnotes, and ids of headings in any script.
func newPolicy() *bluemonday.Policy {
	p := bluemonday.UGCPolicy()
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^language-[\w+#.-]+$`)).OnElements("code")
	p.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	p.AllowAttrs("checked", "disabled").Matching(regexp.MustCompile(`^$`)).OnElements("input")
	p.AllowAttrs("id").Matching(regexp.MustCompile(`^[\p{L}\p{N}\p{M}_-]+$`)).OnElements("h1", "h2", "h3", "h4", "h5", "h6")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^footnote(s|-ref|-backref)$`)).OnElements("a", "div")
	p.AllowAttrs("role").Matching(regexp.MustCompile(`^doc-(noteref|backlink|endnotes)$`)).OnElements("a", "div")
	return p
}

const style = `body { max-width: 46em; margin: 2em auto; padding: 0 1em; font: 16px/1.6 system-ui, sans-serif; color: #1f2328; }
h1, h2 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; }
a { color: #0969da; }
code { background: #f0f1f2; padding: .15em .3em; border-radius: 4px; font-size: 90%; }
pre { background: #f6f8fa; padding: 1em; overflow: auto; border-radius: 6px; }
pre code { background: none; padding: 0; }
blockquote { margin-left: 0; padding-left: 1em; border-left: 4px solid #d1d9e0; color: #59636e; }
table { border-collapse: collapse; }
th, td { border: 1px solid #d1d9e0; padding: .4em .8em; }
img { max-width: 100%; }
`

// page puts clean HTML into a whole document.
func page(title string, clean []byte) *bytes.Buffer {
	if title == "" {
		title = "Document"
	}
	var b bytes.Buffer
	b.WriteString(`<!DOCTYPE html>
<html lang="` + html.EscapeString(config.Text("lang", "en")) + `">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>` + html.EscapeString(config.Text("title", title)) + `</title>
<style>
` + style + `</style>
</head>
<body>
`)
	b.Write(clean)
	b.WriteString("</body>\n</html>\n")
	return &b
}
