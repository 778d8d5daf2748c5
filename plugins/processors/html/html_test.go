package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/taskhost/taskhost/plugins/internal/plugintest"
)

var set = plugintest.Set

// releaseNotes is a page of the Go project's site.
func releaseNotes(tb testing.TB) string {
	return plugintest.ModuleFile(tb, "golang.org/x/net", "html/testdata/go1.html")
}

func TestSanitize(t *testing.T) {
	const source = `<h1 onclick="x()">A <em>b</em></h1><script>alert(1)</script><a href="javascript:alert(1)">x</a><a href="/y">y</a><img src="z.png" onerror=x><table><tr><td>1`
	plugintest.Table(t, process, []plugintest.Row{
		{nil, source, `<h1>A <em>b</em></h1>x<a href="/y" rel="nofollow">y</a><img src="z.png"><table><tr><td>1`},
		{set("policy=basic"), source, `A <em>b</em>x<a href="/y" rel="nofollow">y</a>1`},
		{set("policy=strict"), source, `A bxy1`},
		{nil, "a &lt;b&gt; & c", "a &lt;b&gt; &amp; c"},
		{nil, "", ""},
	})
}

func TestARealPageIsSafeAndSaysTheSame(t *testing.T) {
	source := releaseNotes(t)
	for _, policy := range []string{"page", "basic", "strict"} {
		clean := plugintest.Run(t, sanitizeAlone, source, "policy="+policy)
		root, err := html.Parse(strings.NewReader(clean))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			switch n.Data {
			case "script", "style", "form", "iframe", "link", "meta", "input":
				t.Errorf("%s: <%s>", policy, n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Val, "javascript:") {
					t.Errorf("%s: %s=%q", policy, a.Key, a.Val)
				}
			}
		}
		if !strings.Contains(clean, "a set of core libraries") {
			t.Errorf("%s: the text is not there", policy)
		}
	}
}

func TestText(t *testing.T) {
	plugintest.Table(t, textAlone, []plugintest.Row{
		{nil, "<title>no</title><h1>Head</h1><p>A <b>b</b>\n c<br>d&amp;e</p>text<div>more <span>x</span></div>", "Head\n\nA b c\nd&e\n\ntext\n\nmore x\n"},
		{nil, "<ul><li>one<li>two<ul><li>three</ul></ul><ol start=3><li><p>a</p><p>b</p><li>c</ol>", "- one\n- two\n  - three\n\n3. a\n   b\n4. c\n"},
		{nil, "<table><tr><th>a<th>b<tr><td>1<td><p>x</p><p>y</p></table>", "a\tb\n1\tx y\n"},
		{nil, "<pre>  if x {\n\ty\n  }</pre><blockquote><p>q</p><p>r</p></blockquote><hr><dl><dt>t<dd>d</dl>", "  if x {\n\ty\n  }\n\n> q\n>\n> r\n\n----\n\nt\n  d\n"},
		{nil, "<p>a<script>x</script><style>y</style><span hidden>z</span><img src=i alt='an image'></p><noscript><p>n</p></noscript>", "aan image\n\nn\n"},
		{nil, "<a href=x><div>block in a link</div></a>", "block in a link\n"},
		{set("links=inline"), `<p><a href="https://x.org">X</a> <a href="#a">A</a> <a href="https://y.org">https://y.org</a>`, "X (https://x.org) A https://y.org\n"},
		{set("links=list"), `<p><a href="https://x.org">X</a> <a href="/y">Y</a>`, "X [1] Y [2]\n\n[1] https://x.org\n[2] /y\n"},
		{nil, "plain", "plain\n"},
		{nil, "", ""},
	})
	text := plugintest.Run(t, textAlone, releaseNotes(t))
	for _, want := range []string{"\n\nIntroduction to Go 1\n\nGo version 1, Go 1 for short, defines a language and a set of core libraries", "\n\n    var c chan int\n",
		"\nOld path\tNew path\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the text", want)
		}
	}
	if strings.Contains(text, "_gaq") || strings.Contains(text, "\n\n\n\n\n") {
		t.Error("the text has scripts or gaps in it")
	}
}

func TestLinks(t *testing.T) {
	const page = `<base href="/dir/"><a href="a?b=1#c" rel=next>A <b>b</b></a><a href=" HTTPS://Other.example/x
y ">o</a><img src=i.png srcset="j.png 1x, k.png 2x" alt=Pic><script src=//cdn.example/s.js></script>
<link rel=stylesheet href=s.css><link rel=icon href=f.ico><form action=""></form><iframe src="about:blank"></iframe><a href="a?b=1#c">again</a>
<a href="http://[bad/">bad</a><a name=x>none</a><a href="mailto:me@example.com">mail</a><video src=v poster=p></video>`
	var got []link
	if err := json.Unmarshal([]byte(plugintest.Run(t, linksAlone, page, "base=https://example.com/page")), &got); err != nil {
		t.Fatal(err)
	}
	want := []link{
		{URL: "https://example.com/dir/a?b=1#c", Kind: "link", Text: "A b", Rel: "next"},
		{URL: "https://Other.example/xy", Kind: "link", Text: "o"},
		{URL: "https://example.com/dir/i.png", Kind: "image", Text: "Pic"},
		{URL: "https://example.com/dir/j.png", Kind: "image", Text: "Pic"},
		{URL: "https://example.com/dir/k.png", Kind: "image", Text: "Pic"},
		{URL: "https://cdn.example/s.js", Kind: "script"},
		{URL: "https://example.com/dir/s.css", Kind: "style", Rel: "stylesheet"},
		{URL: "https://example.com/dir/f.ico", Kind: "image", Rel: "icon"},
		{URL: "https://example.com/dir/", Kind: "form"},
		{URL: "about:blank", Kind: "frame"},
		{URL: "https://example.com/dir/a?b=1#c", Kind: "link", Text: "again"},
		{URL: "http://[bad/", Kind: "link", Text: "bad", Wrong: "no URL"},
		{URL: "mailto:me@example.com", Kind: "link", Text: "mail"},
		{URL: "https://example.com/dir/p", Kind: "image"},
		{URL: "https://example.com/dir/v", Kind: "media"},
	}
	for i := range max(len(got), len(want)) {
		var g, w link
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%d: got %+v, want %+v", i, g, w)
		}
	}
	if got := plugintest.Run(t, linksAlone, page, "kinds=form, frame"); strings.Count(got, `"url"`) != 2 {
		t.Errorf("kinds: %s", got)
	}
	if got := plugintest.Run(t, linksAlone, page, "unique=true"); strings.Count(got, `a?b=1#c`) != 1 {
		t.Errorf("unique: %s", got)
	}
	if got := plugintest.Run(t, linksAlone, "no links"); got != "[]\n" {
		t.Errorf("none: %s", got)
	}
	if got := plugintest.Run(t, linksAlone, releaseNotes(t), "base=https://go.dev/doc/go1.html", "kinds=link", "unique=true"); strings.Count(got, `"https://go.dev/`) < 100 {
		t.Errorf("of the page: %d", strings.Count(got, `"https://go.dev/`))
	}
}

func TestMeta(t *testing.T) {
	got := plugintest.Run(t, metaAlone, `<html lang=de><title> A
 b</title><meta name=Description content="d &amp; e"><meta property=og:image content=i.png><link rel=canonical href=/c><h1 id=x>One <i>two</i></h1><svg><title>no</title></svg>`)
	const want = `{
  "title": "A b",
  "language": "de",
  "description": "d & e",
  "canonical": "/c",
  "meta": {
    "description": "d & e",
    "og:image": "i.png"
  },
  "headings": [
    {
      "level": 1,
      "id": "x",
      "text": "One two"
    }
  ]
}
`
	if got != want {
		t.Errorf("got %s", got)
	}
	if got := plugintest.Run(t, metaAlone, releaseNotes(t)); !strings.Contains(got, `"title": "Go 1 Release Notes - The Go Programming Language"`) ||
		strings.Count(got, `"level"`) < 50 {
		t.Errorf("got %.300s", got)
	}
}

func TestWhatCannotBeDoneIsInvalidAndSaysWhy(t *testing.T) {
	plugintest.Refuse(t, []plugintest.Refused{
		{process, "a\xff", nil, "invalid UTF-8 at byte 1"},
		{textAlone, "a\xff", nil, "invalid UTF-8 at byte 1"},
		{process, "", set("policy=all"), `config policy: "all" is none of page, basic, strict`},
		{textAlone, "", set("links=yes"), "config links"},
		{linksAlone, "", set("base=page.html"), "config base is not an absolute URL"},
		{linksAlone, "", set("kinds=link,video"), `config kinds: "video" is none of link, image`},
		{textAlone, strings.Repeat("<div>", 10_000), nil, "open stack of elements exceeds"},
	})
}

func TestLargePagesTakeTimeInLineWithTheirSizeAndReport(t *testing.T) {
	page := strings.Repeat("<div><p>some <b>words</b> and <a href=x>a link</a></p><ul><li>one<li>two</ul></div>\n", 26_000)
	for _, f := range []func() int32{process, textAlone, linksAlone, metaAlone} {
		start := time.Now()
		r := plugintest.Call(f, page)
		if took := time.Since(start); r.Code != 0 || len(r.Progress) < 2 || took > 20*time.Second {
			t.Errorf("code %d, %d reports, %v", r.Code, len(r.Progress), took)
		}
	}
}

func FuzzHTML(f *testing.F) {
	f.Add("<ul><li>a<p>b<table><tr><td>x</table><a href='y'>z", "list")
	f.Add("<pre>\n x<br></pre><base href=//x><img srcset=', ,'>", "inline")
	f.Fuzz(func(t *testing.T, source, links string) {
		for _, f := range []func() int32{process, textAlone, linksAlone, metaAlone} {
			if r := plugintest.Call(f, source, "links="+links); r.Code != 0 && !r.Invalid {
				t.Errorf("%q: %s", source, r.Error)
			}
		}
	})
}
