package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taskhost/taskhost/plugins/internal/plugintest"
)

var set = plugintest.Set

// cut calls a function and checks what holds for all of them: the pieces are the text, in order, within their size.
func cut(tb testing.TB, f func() int32, text string, size, overlap int, config ...string) []piece {
	tb.Helper()
	output := plugintest.Run(tb, f, text, config...)
	var pieces []piece
	for line := range strings.Lines(output) {
		var p piece
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			tb.Fatalf("%v: %s", err, line)
		}
		pieces = append(pieces, p)
	}
	var again strings.Builder
	end := 0
	for i, p := range pieces {
		switch {
		case p.Index != i, text[p.Start:p.End] != p.Text, !utf8.ValidString(p.Text), p.Start+p.Overlap != end:
			tb.Fatalf("%.80q: piece %d: %+v", text, i, p)
		case p.Tokens > size, p.End <= end:
			tb.Fatalf("%.80q: piece %d has %d tokens of %d, from %d to %d", text, i, p.Tokens, size, p.Start, p.End)
		}
		if p.Overlap > 0 && tokensOf(p.Text[:p.Overlap]) > overlap+1 { // where it begins in the middle of a word it may be one more
			tb.Fatalf("%.80q: piece %d: an overlap of %d tokens", text, i, tokensOf(p.Text[:p.Overlap]))
		}
		again.WriteString(p.Text[p.Overlap:])
		end = p.End
	}
	if again.String() != text {
		tb.Fatalf("%.80q: the pieces together are another text", text)
	}
	return pieces
}

func tokensOf(text string) int {
	n := 0
	for _, u := range unitsOf([]byte(text)) {
		n += u.tokens
	}
	return n
}

// texts are real ones: this project's pages, and books in French, Japanese, Chinese and Korean that the module x/text carries.
func texts(tb testing.TB) map[string]string {
	found := plugintest.Documents(tb)
	for _, name := range []string{"candide", "rashomon", "sunzi-bingfa-simplified", "unsu-joh-eun-nal"} {
		found[name] = plugintest.ModuleFile(tb, "golang.org/x/text", "encoding/testdata/"+name+"-utf-8.txt")
	}
	found["code"] = plugintest.File(tb, "host/host.go")
	found["data"] = strings.Repeat("QUJDREVGR0g", 3000)
	found["marks"] = strings.Repeat("e\u0301\u0302 👩‍👩‍👧 ", 300)
	found["white space"] = strings.Repeat(" \n\t", 1000)
	return found
}

func TestAllPiecesAreTheText(t *testing.T) {
	for name, text := range texts(t) {
		for _, f := range []func() int32{tokensAlone, sentencesAlone, headingsAlone} {
			cut(t, f, text, 256, 0)
			pieces := cut(t, f, text, 64, 20, "size=64", "overlap=20")
			if name == "candide" && len(pieces) < 100 {
				t.Errorf("%s: %d pieces", name, len(pieces))
			}
			cut(t, f, text, 32, 16, "size=32", "overlap=16")
		}
	}
}

func TestSentences(t *testing.T) {
	const text = "Dr. Smith came at 3 p.m. on Jan. 5. He said: “Go!” Then e.g. nothing. J. Doe left... and so on? Yes.\n\nNew paragraph without an end\n\nNächster Satz. 你好。再见！End"
	c := []byte(text)
	units := unitsOf(c)
	mark(c, units)
	var got []string
	start := 0
	for _, u := range units[1:] {
		if u.level >= sentence {
			got = append(got, strings.TrimSpace(text[start:u.start]))
			start = u.start
		}
	}
	got = append(got, text[start:])
	want := []string{"Dr. Smith came at 3 p.m. on Jan. 5.", "He said: “Go!”", "Then e.g. nothing.", "J. Doe left... and so on?", "Yes.",
		"New paragraph without an end", "Nächster Satz.", "你好。", "再见！", "End"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// Of a real book, nearly all pieces end with a sentence.
	ends := 0
	pieces := cut(t, process, texts(t)["candide"], 256, 0)
	for _, p := range pieces {
		if strings.ContainsAny(p.Text[len(strings.TrimRight(p.Text, " \n»"))-1:], ".!?") {
			ends++
		}
	}
	if ends < len(pieces)*9/10 {
		t.Errorf("%d of %d pieces end with a sentence", ends, len(pieces))
	}
}

func TestHeadings(t *testing.T) {
	const text = "intro\n\n# One\n\n## Two\n\ntext of two\n\n```sh\n# no heading\n```\n\n### Three ###\ntext\n\nFour\n====\n\ntext of four\n\nFive\n---\n- item\n- item\n\n---\n\n#nope\n"
	var got []string
	for _, p := range cut(t, headingsAlone, text, 256, 0) {
		got = append(got, strings.Join(p.Headings, "/")+": "+strings.Fields(p.Text)[0])
	}
	if want := []string{": intro", "One/Two: #", "One/Two/Three: ###", "Four: Four", "Four/Five: Five"}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// With an overlap, none reaches into the section before.
	for name, text := range plugintest.Documents(t) {
		for _, p := range cut(t, headingsAlone, text, 64, 30, "size=64", "overlap=30") {
			if h := headingsOf([]byte(p.Text)); len(h) > 0 && h[0].start != 0 && strings.TrimSpace(p.Text[:h[0].start]) != "" && !strings.Contains(p.Text, "```") {
				t.Errorf("%s: a piece goes on past a heading: %q", name, p.Text)
			}
			if len(p.Headings) == 0 {
				t.Errorf("%s: a piece without a heading: %q", name, p.Text)
			}
		}
	}
}

func TestOutputs(t *testing.T) {
	plugintest.Table(t, process, []plugintest.Row{
		{nil, "One. <Two>.", `{"index":0,"text":"One. <Two>.","start":0,"end":11,"tokens":5}` + "\n"},
		{set("output=list"), "a", "[\n" + `{"index":0,"text":"a","start":0,"end":1,"tokens":1}` + "\n]\n"},
		{set("output=list"), "", "[\n]\n"},
		{nil, "", ""},
	})
	var list []piece
	if err := json.Unmarshal([]byte(plugintest.Run(t, process, strings.Repeat("A sentence of six words here. ", 100), "output=list", "by=tokens", "size=32")), &list); err != nil || len(list) < 20 {
		t.Errorf("%d pieces, %v", len(list), err)
	}
	if got := plugintest.Run(t, countAlone, "Hello, wörld 你好"); got != `{"bytes":20,"characters":15,"tokens":5}`+"\n" {
		t.Errorf("count: %s", got)
	}
	r := plugintest.Call(process, strings.Repeat("A sentence. ", 1000))
	if last := r.Progress[len(r.Progress)-1]; last.Fraction != 1 || !strings.HasSuffix(last.Message, " chunks") {
		t.Errorf("%+v", last)
	}
}

// Tokenizers of language models, cl100k_base and o200k_base, count 2270 and 2262.
func TestTheEstimateIsNear(t *testing.T) {
	const license = 2266
	if got := tokensOf(plugintest.File(t, "LICENSE")); got < license*95/100 || got > license*105/100 {
		t.Errorf("LICENSE has %d tokens, want about %d", got, license)
	}
}

func TestWhatCannotBeDoneIsInvalidAndSaysWhy(t *testing.T) {
	plugintest.Refuse(t, []plugintest.Refused{
		{process, "a\xff", nil, "invalid UTF-8 at byte 1 (line 1, column 2)"},
		{countAlone, "\xff", nil, "invalid UTF-8 at byte 0"},
		{process, "a", set("by=pages"), `config by: "pages" is none of sentences, tokens, headings`},
		{process, "a", set("size=31"), "config size: give a number from 32 to 100000"},
		{process, "a", set("size=64", "overlap=33"), "config overlap: give a number from 0 to 32"},
		{process, "a", set("output=csv"), "config output"},
	})
}

func FuzzChunk(f *testing.F) {
	f.Add("# A\n\ntext. More text!\n\nB\n==\n你好。e\u0301", 32, 16)
	f.Add(strings.Repeat("word ", 100), 40, 5)
	f.Fuzz(func(t *testing.T, text string, size, overlap int) {
		if !utf8.ValidString(text) || size < leastSize || size > 1000 || overlap < 0 || overlap > size/2 {
			return
		}
		config, err := json.Marshal([]int{size, overlap})
		if err != nil {
			t.Fatal(err)
		}
		numbers := strings.Split(strings.Trim(string(config), "[]"), ",")
		for _, f := range []func() int32{tokensAlone, sentencesAlone, headingsAlone} {
			cut(t, f, text, size, size, "size="+numbers[0], "overlap="+numbers[1])
		}
	})
}
