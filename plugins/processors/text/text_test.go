package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/taskhost/taskhost/sdk/go/sdktest"
)

func TestOperations(t *testing.T) {
	for _, c := range []struct{ ops, in, want string }{
		{"normalize", "\ufeff\r\n\r\na \r\nb\t\r\rc\r\n\r\n\r\n\r\nd", "a\nb\n\nc\n\nd\n"},
		{"normalize", "e\u0301", "é\n"},
		{"normalize", "line  \nbreak   \n   \nend  ", "line  \nbreak\n\nend\n"},
		{"normalize", "```\na  \n\n\nb\n```\n\n\n\nc", "```\na  \n\n\nb\n```\n\nc\n"},
		{"normalize", "<pre>\na \n\n\nb\n</pre>\n\n\nc", "<pre>\na \n\n\nb\n</pre>\n\nc\n"},
		{"normalize", "", ""},
		{"normalize", " \n\n", ""},
		{"upper", "où é", "OÙ É"},
		{"lower", "ÀB", "àb"},
		{"title", "don't use NASA's 3d o'neill e-mail", "Don't Use NASA's 3d O'neill E-Mail"},
		{"trim", "\n  a  \n\n b\n\n", "a\n\nb\n"},
		{"nonblank", "a\n\n \t\nb\n", "a\nb\n"},
		{"squeeze", " a \t b\u00a0c \n\n d", "a b c\n\nd"},
		{"dedent", "\t  a\n\n \n\t b\n\t  \tc\n", " a\n\n\nb\n \tc\n"},
		{"dedent", "  a\nb", "  a\nb"},
		{"indent=2", "a\n\n b", "  a\n\n   b"},
		{"unaccent", "Crème brûlée, ångström, Việt Nam, ø ß 한글 が", "Creme brulee, angstrom, Viet Nam, ø ß 한글 が"},
		{"slug", "Crème brûlée!\n--A_b 2.0--\n你好 w\n", "creme-brulee\na-b-2-0\n你好-w\n"},
		{"dedupe", "a\n\nb\n\na\nb", "a\n\nb\n"},
		{"sort", "b\na\n", "a\nb\n"},
		{"reverse", "a\nb", "b\na"},
		{"number", strings.Repeat("x\n", 10), " 1  x\n 2  x\n 3  x\n 4  x\n 5  x\n 6  x\n 7  x\n 8  x\n 9  x\n10  x\n"},
		{"head=2", "a\nb\nc\n", "a\nb\n"},
		{"tail=2", "a\nb\nc\n", "b\nc\n"},
		{"head=9", "a", "a"},
		{"truncate=8", "one two three", "one two…"},
		{"truncate=13", "one two three", "one two three"},
		{"truncate=4", "abcdefgh", "abc…"},
		{"truncate=3", "ae\u0301\u0301b", "a…"},
		{"truncate=1", "ab", "…"},
		{"wrap=10", "one two three four\n- item that is long\n> quote that is long",
			"one two\nthree four\n- item\n  that is\n  long\n> quote\n> that is\n> long"},
		{"wrap=6", "say it 1. and - go # on", "say it 1.\nand -\ngo #\non"},
		{"wrap=5", "# a long heading\n| a | table row |\n    code that is long\nunbreakable", "# a long heading\n| a | table row |\n    code that is long\nunbreakable"},
		{"wrap=10", "one two three four  \nnext", "one two\nthree four  \nnext"},
		{"normalize, wrap=10 ,upper", "one two three\r\n", "ONE TWO\nTHREE\n"},
		{"count", "Héllo – wörld\n\nbye\n", `{"bytes":23,"characters":19,"words":3,"lines":3,"paragraphs":2,"longest_line":13}` + "\n"},
		{"count", "", `{"bytes":0,"characters":0,"words":0,"lines":0,"paragraphs":0,"longest_line":0}` + "\n"},
	} {
		got, err := apply(c.in, c.ops)
		if err != nil || got != c.want {
			t.Errorf("%s of %q\n got %q, %v\nwant %q", c.ops, c.in, got, err, c.want)
		}
	}
}

func TestWhatCannotBeDoneIsInvalidAndSaysWhy(t *testing.T) {
	for _, c := range []struct{ ops, in, want string }{
		{"shout", "", `there is no operation "shout"; there are count, dedent, dedupe`},
		{"upper=2", "", "upper takes no number"},
		{"wrap=0", "", "wrap=0: give a number from 1 to 10000"},
		{"wrap=x", "", "wrap=x"},
		{"truncate", "", "truncate needs a number: truncate=80"},
		{strings.Repeat("trim,", 40), "", "41 operations are more than 32"},
		{"trim", "ab\xff", "invalid UTF-8 at byte 2"},
	} {
		r := sdktest.Run(sdktest.Call{Input: []byte(c.in), Config: map[string]string{"ops": c.ops}}, process)
		if r.Code != 1 || !r.Invalid || !strings.Contains(r.Error, c.want) {
			t.Errorf("%s: code %d, invalid %v, %q; want %q", c.ops, r.Code, r.Invalid, r.Error, c.want)
		}
	}
}

func TestProgressNamesTheOperation(t *testing.T) {
	r := sdktest.Run(sdktest.Call{Input: []byte("a"), Config: map[string]string{"ops": "upper,number"}}, process)
	if string(r.Output) != "1  A" || len(r.Progress) != 3 || r.Progress[1].Message != "number" || r.Progress[1].Fraction != 0.5 {
		t.Errorf("%q, %+v", r.Output, r.Progress)
	}
	r = sdktest.Run(sdktest.Call{Input: []byte("a \n\n\nb")}, process)
	if string(r.Output) != "a\n\nb\n" {
		t.Errorf("default: %q", r.Output)
	}
}

// specExamples are the examples of the CommonMark specification and of GitHub's extensions, which goldmark carries.
func specExamples(t *testing.T) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yuin/goldmark").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(dir))
	b, err := os.ReadFile(filepath.Join(root, "_test", "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	var examples []struct{ Markdown string }
	if err := json.Unmarshal(b, &examples); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range examples {
		found = append(found, e.Markdown)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return append(found, string(readme))
}

func render(t *testing.T, source string) string {
	t.Helper()
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(source), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// shown is HTML with white space as a browser shows it: one space outside of <pre>.
func shown(html string) string {
	var b strings.Builder
	for i, part := range strings.Split(html, "<pre") {
		if i > 0 {
			pre, after, _ := strings.Cut(part, "</pre>")
			b.WriteString("<pre" + pre + "</pre>")
			part = after
		}
		b.WriteString(" " + strings.ReplaceAll(strings.Join(strings.Fields(part), " "), " <br>", "<br>"))
	}
	return strings.TrimSpace(b.String())
}

func TestNormalizeKeepsWhatMarkdownMeans(t *testing.T) {
	examples := specExamples(t)
	if len(examples) < 600 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, source := range examples {
		normal := normalize(source)
		want, got := shown(render(t, source)), shown(render(t, normal))
		if got != want {
			t.Errorf("%q became %q\n got %q\nwant %q", source, normal, got, want)
		}
		if again := normalize(normal); again != normal {
			t.Errorf("%q is not stable: %q, then %q", source, normal, again)
		}
	}
}

func TestWrapKeepsWhatMarkdownMeans(t *testing.T) {
	for _, source := range specExamples(t) {
		wrapped := wrap(source, 20)
		want, got := shown(render(t, source)), shown(render(t, wrapped))
		if got != want {
			t.Errorf("%q became %q\n got %q\nwant %q", source, wrapped, got, want)
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add("a b\n\n- c  \n```\n", "normalize,wrap=5")
	f.Add("x\u0301y", "truncate=1,title")
	f.Fuzz(func(t *testing.T, text, ops string) {
		out, err := apply(text, ops)
		if err == nil && !utf8.ValidString(out) {
			t.Errorf("%s of %q is not UTF-8: %q", ops, text, out)
		}
		if err == nil && ops == "normalize" {
			if again := normalize(out); again != out {
				t.Errorf("not stable: %q, then %q", out, again)
			}
		}
	})
}
