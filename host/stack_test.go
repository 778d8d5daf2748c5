package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// withPlaces fills in the lines of marks: {c:divide} becomes trap.c:7, the line of testdata/trap-c that ends in "// mark: divide".
func withPlaces(t testing.TB, text string) string {
	t.Helper()
	sources := map[string]string{"c": "trap-c/trap.c", "cpp": "trap-c/shape.cpp", "rust": "trap-rust/trap.rs"}
	return regexp.MustCompile(`\{(\w+):(\w+)\}`).ReplaceAllStringFunc(text, func(place string) string {
		lang, mark, _ := strings.Cut(strings.Trim(place, "{}"), ":")
		file := "testdata/" + sources[lang]
		source, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(source)) {
			if n++; strings.HasSuffix(strings.TrimSpace(line), "// mark: "+mark) {
				return fmt.Sprintf("(%s:%d)", file, n)
			}
		}
		t.Fatalf("no mark %s in %s", mark, file)
		return ""
	})
}

// stacks are what calls of the plugins in testdata/trap-* must show. A line with * stands for one of any text, {…} for a place.
var stacks = map[string]struct {
	code abi.Code
	want string
}{
	"trap-c:division": {abi.CodeTrap, "divide {c:divide}\ninner {c:inner}\nouter {c:outer}\ndivision {c:division}"},
	"trap-c:recursion": {abi.CodeStackLimit,
		"deeper (testdata/trap-c/trap.c:*)\ndeeper {c:deeper}\n… * more of deeper\nrecursion {c:recursion}"},
	"trap-c:turns":       {abi.CodeTrap, "odd {c:odd}\neven {c:even}\nodd (testdata/trap-c/trap.c:*)\neven {c:even}\n… 998 more of odd, even\nturns {c:turns}"},
	"trap-c:mismatch":    {abi.CodeTrap, "mismatch {c:mismatch}"},
	"trap-c:loops":       {abi.CodeTrap, "divide {c:divide}\nloops {c:loops}"},
	"trap-c:forever":     {abi.CodeTimeout, "forever {c:forever}"},
	"trap-c:outside":     {abi.CodeTrap, "extism:host/env.load_u8 (of taskhost)\noutside {c:outside}"},
	"trap-c:method":      {abi.CodeTrap, "geometry::Shape<int>::area {cpp:area}\nmethod {cpp:method}"},
	"trap-rust:index":    {abi.CodeTrap, "… * of the language's runtime\ntrap::pick {rust:pick}\ntrap::Walker::walk {rust:walk}\ntrap::Walker::walk {rust:step}\n*index {rust:index}"},
	"trap-rust:unwrap":   {abi.CodeTrap, "… * of the language's runtime\ncore::option::Option<T>::unwrap (*library/core/src/option.rs:*)\nunwrap {rust:unwrap}"},
	"trap-as:process":    {abi.CodeTrap, "~lib/array/Array<i32>#__get\ntrap/Walker#at\ntrap/process"},
	"trap-go:forever":    {abi.CodeTimeout, "*main.spin\n*\nmain.forever\nforever"},
	"stripped:division":  {abi.CodeTrap, "function *\ndivision"},
	"nolines:division":   {abi.CodeTrap, "divide\ndivision"},
	"nolines:method":     {abi.CodeTrap, "geometry::Shape<int>::area*\nmethod"},
	"nonames:division":   {abi.CodeTrap, "divide {c:divide}\ninner {c:inner}\nouter {c:outer}\ndivision {c:division}"},
	"truncated:division": {abi.CodeTrap, "divide*\n*division*"},
}

// matches tells whether text is as a pattern with * says.
func matches(pattern, text string) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `(?s:.*?)`)
	return regexp.MustCompile(`\A` + quoted + `\z`).MatchString(text)
}

// without is a module without some of its custom sections.
func without(t testing.TB, bin []byte, drop func(c *wasm.Custom) bool) []byte {
	t.Helper()
	m, err := wasm.Decode(bin)
	if err != nil {
		t.Fatal(err)
	}
	m.Customs = slices.DeleteFunc(m.Customs, func(c wasm.Custom) bool { return drop(&c) })
	return m.Encode()
}

func isDebug(c *wasm.Custom) bool { return strings.HasPrefix(c.Name, ".debug_") }

// TestStacksHaveNamesAndLines checks what errors show of where a plugin was: of each language and kind of error, under each isolation, and
// of a plugin that came from the cache as of one that was just compiled.
func TestStacksHaveNamesAndLines(t *testing.T) {
	modules := map[string][]byte{}
	for _, name := range []string{"trap-c", "trap-rust", "trap-as", "trap-go"} {
		modules[name] = built(t, name+".wasm")
	}
	c := modules["trap-c"]
	modules["stripped"] = without(t, c, func(c *wasm.Custom) bool { return isDebug(c) || c.Name == "name" })
	modules["nolines"] = without(t, c, isDebug)
	modules["nonames"] = without(t, c, func(c *wasm.Custom) bool { return c.Name == "name" })
	modules["truncated"] = without(t, c, func(c *wasm.Custom) bool {
		if isDebug(c) {
			c.Data = c.Data[:len(c.Data)/2]
		}
		return false
	})
	for isolation, cache := range map[string]string{"pristine": testCache, "reuse": testCache, "fresh": "off"} {
		h := newHost(t, host.Config{CacheDir: cache})
		for name, bin := range modules {
			if cache == "off" && name == "trap-go" { // which takes long to compile
				continue
			}
			swapTo(t, h, name, bin, `{"taskhost": {"isolation": "`+isolation+`", "hide_input": true}}`)
		}
		for call, s := range stacks {
			if cache == "off" && strings.HasPrefix(call, "trap-go") {
				continue
			}
			want := withPlaces(t, s.want)
			for range 2 { // the second one finds what the first has looked up
				ctx, stop := t.Context(), func() {}
				if s.code == abi.CodeTimeout {
					ctx, stop = context.WithTimeout(ctx, 50*time.Millisecond)
				}
				e := failsWithin(ctx, t, h, call, "hello", s.code)
				stop()
				if got, _, _ := strings.Cut(e.Detail, "\nlast log lines:"); !matches(want, got) {
					t.Errorf("%s, %s:\n%s\nwant\n%s", call, isolation, got, want)
				}
				if strings.Contains(e.Message, "\n") {
					t.Errorf("%s: the message has several lines: %q", call, e.Message)
				}
			}
		}
	}
}

// TestDetailHasInputAndLog checks what errors show besides the stack, and that it is bounded whatever input and log are.
func TestDetailHasInputAndLog(t *testing.T) {
	h := newHost(t, host.Config{})
	swapTo(t, h, "trap-c", built(t, "trap-c.wasm"), "")
	swapTo(t, h, "hidden", built(t, "trap-c.wasm"), `{"taskhost": {"hide_input": true}}`)
	swapTo(t, h, "trap-go", built(t, "trap-go.wasm"), "")
	swap(t, h, "fail", "")

	e := fails(t, h, "trap-c:mismatch", "a \"b\"\n\x00\xff\u202e", abi.CodeTrap)
	if want := "input (11 bytes): " + `"a \"b\"\n\x00\xff\u{202e}"`; !strings.HasSuffix(e.Detail, "\n"+want) {
		t.Errorf("the detail is %q, want it to end in %s", e.Detail, want)
	}
	e = fails(t, h, "trap-c:mismatch", strings.Repeat("\xff", 1<<20), abi.CodeTrap)
	if !strings.Contains(e.Detail, `input (1,048,576 bytes): "\xff\xff`) || !strings.HasSuffix(e.Detail, `"…`) || len(e.Detail) > 1000 {
		t.Errorf("of a large input the detail has %d bytes: %.300q", len(e.Detail), e.Detail)
	}
	if e = fails(t, h, "hidden:mismatch", "secret", abi.CodeTrap); strings.Contains(e.Detail, "secret") || strings.Contains(e.Detail, "input") {
		t.Errorf("with hide_input the detail is %q", e.Detail)
	}
	if e = fails(t, h, "trap-c:mismatch", "", abi.CodeTrap); strings.Contains(e.Detail, "input") {
		t.Errorf("without an input the detail is %q", e.Detail)
	}
	e = fails(t, h, "trap-go:panics", "hello", abi.CodeFailed)
	for _, want := range []string{"input (5 bytes): \"hello\"\nlast log lines:\n  error goroutine 1", "\n        main.broken(", "testdata/trap-go/main.go:"} {
		if !strings.Contains(e.Detail, want) {
			t.Errorf("the detail lacks %q: %s", want, e.Detail)
		}
	}
	if len(e.Detail) > 8<<10 {
		t.Errorf("the detail has %d bytes", len(e.Detail))
	}
}

// TestNamesCannotHarm checks that whoever writes a module cannot write to the terminal of whoever reads its errors, nor make them long.
func TestNamesCannotHarm(t *testing.T) {
	bin := built(t, "trap-c.wasm")
	m, err := wasm.Decode(bin)
	if err != nil {
		t.Fatal(err)
	}
	var names []byte
	n := 0
	for _, f := range m.FuncNames() {
		names = wasm.AppendName(wasm.AppendU32(names, f.Index), "\x1b[31mred\n\t.forged() (\u202e"+strings.Repeat("long", 10_000))
		n++
	}
	names = append(wasm.AppendU32(nil, uint32(n)), names...)
	for i := range m.Customs {
		if m.Customs[i].Name == "name" {
			m.Customs[i].Data = append(wasm.AppendU32([]byte{1}, uint32(len(names))), names...)
		}
	}
	h := newHost(t, host.Config{})
	swapTo(t, h, "named", m.Encode(), "")
	for _, function := range []string{"turns", "division", "recursion"} {
		_, err := h.Run(t.Context(), abi.Call{Plugin: "named", Function: function}, nil)
		e := abi.AsError(err)
		if len(e.Detail) > 8<<10 || strings.ContainsAny(e.Detail, "\x1b\u202e\t") || !strings.Contains(e.Detail, "red") {
			t.Errorf("%s: the detail has %d bytes: %.300q", function, len(e.Detail), e.Detail)
		}
		for line := range strings.Lines(e.Detail) {
			if strings.HasPrefix(line, ".forged") {
				t.Errorf("%s: a name became a line: %q", function, e.Detail)
			}
		}
	}
}

// TestManyFailAtOnce has many calls fail at the same time, on few instances, while the plugin is swapped.
func TestManyFailAtOnce(t *testing.T) {
	h := newHost(t, host.Config{MaxInstances: 4})
	c := built(t, "trap-c.wasm")
	swapTo(t, h, "trap-c", c, "")
	want := withPlaces(t, stacks["trap-c:division"].want)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := range 20 {
				function := []string{"division", "turns", "method", "loops"}[(worker+n)%4]
				_, err := h.Run(t.Context(), abi.Call{Plugin: "trap-c", Function: function, Input: []byte("hello")}, nil)
				if e := abi.AsError(err); e.Code != abi.CodeTrap || function == "division" && e.Detail != want+"\ninput (5 bytes): \"hello\"" {
					t.Errorf("%s: %v\n%s", function, err, e.Detail)
				}
			}
		})
	}
	for n := range 4 {
		swapTo(t, h, "trap-c", tagged(c, fmt.Sprint(n)), "")
	}
	group.Wait()
}
