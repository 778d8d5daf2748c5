// Package testdata_test runs the plugins that "make plugins" built, on the host. It is run by "make test-plugins".
package testdata_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

const build = "../build"

func open(t *testing.T, cfg host.Config) *host.Host {
	t.Helper()
	cfg.WatchInterval, cfg.Interpreters = -1, builtin.Interpreters()
	h, err := host.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, p := range h.Plugins() {
		if p.State != host.StateReady {
			t.Fatalf("plugin %s is %s: %v (make plugins builds it)", p.Name, p.State, p.Error)
		}
	}
	return h
}

func call(t *testing.T, h *host.Host, c abi.Call) (string, []abi.Progress, error) {
	t.Helper()
	var reports []abi.Progress
	r, err := h.Run(t.Context(), c, func(p abi.Progress) { reports = append(reports, p) })
	return string(r.Output), reports, err
}

func succeed(t *testing.T, h *host.Host, step, input string, config ...string) string {
	t.Helper()
	c := abi.Call{Input: []byte(input), Config: map[string]string{}}
	c.Plugin, c.Function, _ = strings.Cut(step, ":")
	for _, kv := range config {
		k, v, _ := strings.Cut(kv, "=")
		c.Config[k] = v
	}
	out, _, err := call(t, h, c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var uppers = []string{"upper-go", "upper-c", "upper-rust", "upper-as", "upper-wat", "upper-zig"}

const part = 64 << 10

// What upper does, once more: the reference that the six are compared with. The steps are those that it reports.
func upper(text []byte) (out []byte, steps []int, err error) {
	for i := 0; i < len(text); {
		if i >= len(steps)*part {
			steps = append(steps, len(steps))
		}
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return nil, nil, fmt.Errorf("invalid UTF-8 at byte %d", i)
		}
		i += n
	}
	out = bytes.Clone(text)
	for i, c := range out {
		if 'a' <= c && c <= 'z' {
			out[i] = c - 'a' + 'A'
		}
	}
	return out, append(steps, (len(text)+part-1)/part), nil
}

func TestTheSameProcessorInSixLanguages(t *testing.T) {
	h := open(t, host.Config{Dir: filepath.Join(build, "testdata"), Only: uppers})
	license, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	inputs := []string{
		"", "a", "Zażółć gęślą jaźń – 你好, 🌍!", string(license), strings.Repeat("aé", part), strings.Repeat("x", part), strings.Repeat("x", part+1),
		// A character on each side of the border between two parts.
		strings.Repeat("x", part-1) + "é", strings.Repeat("x", part-1) + "你y", strings.Repeat("x", part-2) + "🌍y", strings.Repeat("x", part-3) + "🌍",
		"\x00\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
	}
	// Every kind of bad UTF-8, at the beginning, in the middle, at the end, and at the border of a part.
	for _, bad := range []string{"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc2", "\xc2a", "\xe0\x9f\xbf", "\xe2\x82", "\xe2\x82a", "\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf", "\xf0\x9f\x8c", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe9a", "é\xa9"} {
		inputs = append(inputs, bad, "é"+bad, "aé"+bad+"b", strings.Repeat("x", part-1)+bad+"tail")
	}
	for _, input := range inputs {
		want, steps, wrong := upper([]byte(input))
		for _, name := range uppers {
			got, reports, err := call(t, h, abi.Call{Plugin: name, Input: []byte(input)})
			if wrong != nil {
				if e := abi.AsError(err); e == nil || e.Code != abi.CodeInvalid || e.Message != wrong.Error() {
					t.Errorf("%s of %.40q (%d bytes): %v, want %v", name, input, len(input), err, wrong)
				}
				continue
			}
			if err != nil || got != string(want) {
				t.Errorf("%s of %.40q (%d bytes): %.40q, %v", name, input, len(input), got, err)
			}
			var reported []int
			for _, p := range reports {
				reported = append(reported, p.Step)
			}
			if !slices.Equal(reported, steps) {
				t.Errorf("%s of %.40q (%d bytes): reported steps %v, want %v", name, input, len(input), reported, steps)
			}
		}
	}
}

func TestDocumentFromMarkdownToPage(t *testing.T) {
	h := open(t, host.Config{Dir: filepath.Join(build, "plugins"), Only: []string{"text", "markdown"}})
	source := "\ufeff# Title\r\n\r\n\r\nA *word*  \r\nnext <script>alert(1)</script>\r\n\r\n| a | b |\r\n|---|---|\r\n| 1 | 2 |\r\n"
	page := succeed(t, h, "markdown", succeed(t, h, "text", source))
	const want = "<h1 id=\"title\">Title</h1>\n<p>A <em>word</em><br>\nnext </p>\n<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n" +
		"</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>\n"
	if page != want {
		t.Errorf("got %s\nwant %s", page, want)
	}
	if got := succeed(t, h, "markdown:toc", source, "toc_format=json"); got != `[{"level":1,"id":"title","text":"Title"}]`+"\n" {
		t.Errorf("contents: %s", got)
	}
	if got := succeed(t, h, "text", "one two three", "ops=wrap=7,upper"); got != "ONE TWO\nTHREE" {
		t.Errorf("text: %q", got)
	}
	_, _, err := call(t, h, abi.Call{Plugin: "text", Config: map[string]string{"ops": "shout"}})
	if abi.CodeOf(err) != abi.CodeInvalid {
		t.Errorf("bad config: %v", err)
	}
}

// Each function of each processor that ships, in the sandbox, with its own manifest; their own tests tell more.
func TestShippedProcessors(t *testing.T) {
	debian := read(t, "data/debian.csv")
	readme := read(t, "../README.md")
	calls := map[string][]func(h *host.Host) string{} // by plugin; each returns the name of the function
	for _, c := range []struct {
		step, input string
		config      []string
		want        string // is in the output
	}{
		{"chunk:process", readme, nil, `{"index":1,"text":"`},
		{"chunk:tokens", readme, nil, `{"index":1,"text":"`},
		{"chunk:sentences", readme, nil, `{"index":1,"text":"`},
		{"chunk:headings", readme, nil, `"headings":["taskhost","Two commands"]`},
		{"chunk:count", "Hello, you", nil, `"tokens":3`},
		{"compress:process", "x", nil, "\x1f\x8b"},
		{"compress:decompress", "\x28\xb5\x2f\xfd\x04\x58\x19\x00\x00abc\x99\x09\x77\xad", []string{"format=auto"}, "abc"},
		{"csv:process", debian, nil, `{"version":13,"codename":"Trixie"`},
		{"csv:json", debian, []string{"lines=true"}, "\n" + `{"version":12,`},
		{"csv:from_json", `[{"a":1}]`, nil, "a\n1\n"},
		{"csv:select", debian, []string{"columns=series"}, "series\nbuzz\n"},
		{"csv:filter", debian, []string{"where=version = 7"}, "\n7,Wheezy,"},
		{"csv:stats", debian, nil, `"rows": 22`},
		{"hash:process", "abc", nil, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"},
		{"hash:all", "abc", nil, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"hash:verify", "abc", []string{"expected=sha1:a9993e364706816aba3e25717850c26c9cd0d89d", "algorithm=sha1"}, "abc"},
		{"html:process", "<b onclick=x>b</b>", nil, "<b>b</b>"},
		{"html:sanitize", "<b>b</b><script>c</script>", []string{"policy=strict"}, "b"},
		{"html:text", "<p>a<p>b", nil, "a\n\nb\n"},
		{"html:links", "<a href=x>y</a>", []string{"base=https://example.com"}, `"url": "https://example.com/x"`},
		{"html:meta", "<title>x</title>", nil, `"title": "x"`},
		{"json:process", `{"b":1}`, nil, "{\n  \"b\": 1\n}\n"},
		{"json:query", `[1,2]`, []string{"query=add"}, "3\n"},
		{"json:validate", `[1,2]`, []string{`schema={"items":{"type":"integer"}}`}, "[1,2]"},
		{"json:format", `[1,2]`, []string{"indent=0"}, "[1,2]\n"},
		{"markdown:process", "# a", nil, `<h1 id="a">a</h1>`},
		{"markdown:toc", readme, nil, "- [taskhost](#taskhost)\n"},
		{"markdown:text", "*a*", nil, "a\n"},
		{"redact:process", "a@b.org", nil, "[EMAIL]"},
		{"redact:report", "a@b.org", nil, `"email": 1`},
		{"redact:check", "nothing", nil, "nothing"},
		{"template:process", `{"a":1}`, []string{"template={{.a}}"}, "1"},
		{"template:each", `[1,2]`, []string{"template=<{{.}}>"}, "<1><2>"},
		{"template:text", "a", []string{"template={{upper .}}"}, "A"},
		{"text:process", "a", []string{"ops=upper"}, "A"},
		{"text:normalize", "a ", nil, "a\n"},
		{"text:count", "a b", nil, `"words":2`},
	} {
		name, function, _ := strings.Cut(c.step, ":")
		calls[name] = append(calls[name], func(h *host.Host) string {
			if got := succeed(t, h, c.step, c.input, c.config...); !strings.Contains(got, c.want) {
				t.Errorf("%s: %.300q", c.step, got)
			}
			return function
		})
	}
	built, err := filepath.Glob(filepath.Join(build, "plugins", "*.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if len(built) != len(calls)+1 {
		t.Errorf("%d plugins ship, %d are called here", len(built), len(calls))
	}
	for name, list := range calls {
		h := open(t, host.Config{Dir: filepath.Join(build, "plugins"), Only: []string{name}})
		p := h.Plugins()[0]
		if p.Sandbox != "instances are put back after each call" || p.Description == "" {
			t.Errorf("%s: %s; %s", name, p.Sandbox, p.Description)
		}
		var called, all []string
		for _, call := range list {
			called = append(called, call(h))
		}
		for _, f := range p.Functions {
			all = append(all, f.Name)
			if f.Description == "" {
				t.Errorf("%s:%s has no description", name, f.Name)
			}
		}
		slices.Sort(called)
		if slices.Sort(all); !slices.Equal(called, all) {
			t.Errorf("%s has %v, called were %v", name, all, called)
		}
	}
}

func TestAgent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "hello from %s", r.URL.Path)
	}))
	defer server.Close()
	h := open(t, host.Config{Dir: folder(t, "plugins/agent", server.URL)})

	if got := succeed(t, h, "agent:echo", `{"n":12345678901234567890}`); got != `{"n":12345678901234567890}` {
		t.Errorf("echo: %s", got)
	}
	var status struct{ Sandbox struct{ Platform string } }
	if err := json.Unmarshal([]byte(succeed(t, h, "agent:status", `{"verbose":true}`)), &status); err != nil || status.Sandbox.Platform != "wasip1/wasm" {
		t.Errorf("status: %+v, %v", status, err)
	}
	if got := succeed(t, h, "agent:fetch", `{"url":"`+server.URL+`/x"}`); !strings.Contains(got, `"text":"hello from /x"`) {
		t.Errorf("fetch: %s", got)
	}
	_, _, err := call(t, h, abi.Call{Plugin: "agent", Function: "fetch", Input: []byte(`{"url":"http://example.com/"}`)})
	if abi.CodeOf(err) != abi.CodeDenied {
		t.Errorf("fetch from a host that is not allowed: %v", err)
	}
	text := `{"text":"Wasm plugins are small programs. Plugins run in a sandbox, so Wasm programs are safe to run. It rains. Cats sleep a lot in summer.","sentences":1}`
	if got := succeed(t, h, "agent:summarize", text); !strings.Contains(got, `"summary":"Wasm plugins are small programs."`) {
		t.Errorf("summarize: %s", got)
	}
	_, reports, err := call(t, h, abi.Call{Plugin: "agent", Function: "count", Input: []byte(`{"steps":3,"work":1000}`)})
	if err != nil || len(reports) == 0 || reports[len(reports)-1] != (abi.Progress{Fraction: 1, Step: 3, Total: 3, Message: "counted to 3"}) {
		t.Errorf("count: %+v, %v", reports, err)
	}
}

// folder is a folder with one plugin, whose manifest allows one host.
func folder(t *testing.T, plugin, address string) string {
	t.Helper()
	dir := t.TempDir()
	wasm, err := os.ReadFile(filepath.Join(build, plugin+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(abi.Manifest{AllowedHosts: []string{u.Hostname()}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{filepath.Base(plugin) + ".wasm": wasm, filepath.Base(plugin) + ".json": manifest} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCountStopsWhenTheCallIsCancelled(t *testing.T) {
	h := open(t, host.Config{Dir: filepath.Join(build, "plugins"), Only: []string{"agent"}})
	for _, args := range []string{`{"steps":1000000,"delay_ms":60000}`, `{"steps":1000000,"work":1000000000}`} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := h.Run(ctx, abi.Call{Plugin: "agent", Function: "count", Input: []byte(args)}, func(abi.Progress) { cancel() })
		// The guest may see it first and end by itself, or be stopped.
		if code := abi.CodeOf(err); code != abi.CodeCancelled && (code != abi.CodeFailed || !strings.Contains(err.Error(), "cancelled after 0 of")) {
			t.Errorf("%s: %s, %v", args, abi.CodeOf(err), err)
		}
	}
}

func TestCommandsAreFilters(t *testing.T) {
	h := open(t, host.Config{Dir: filepath.Join(build, "testdata"), Only: []string{"filter-c", "filter-go", "files-c"}})
	for _, c := range []struct{ plugin, in, out string }{
		{"filter-c", "Hello, 你好\nn", "Uryyb, 你好\na"},
		{"filter-go", `{"b":1.50,"a":["<"]} 7`, "{\n  \"a\": [\n    \"<\"\n  ],\n  \"b\": 1.50\n}\n7\n"},
		{"files-c", "args\nenv\ntime\nrandom\n", "files-c\nok\nok\n"},
	} {
		if got := succeed(t, h, c.plugin, c.in); got != c.out {
			t.Errorf("%s: got %q, want %q", c.plugin, got, c.out)
		}
	}
	for _, path := range []string{"/", ".", "..", "/etc/passwd", "../../etc/passwd"} {
		if got := succeed(t, h, "files-c", "list "+path+"\nread "+path+"\nwrite "+path+"/x y\n"); strings.Count(got, "error: ") != 3 {
			t.Errorf("files at %s without a grant: %s", path, got)
		}
	}
	_, _, err := call(t, h, abi.Call{Plugin: "filter-c", Input: []byte("#fail 7\n")})
	if e := abi.AsError(err); e == nil || e.Code != abi.CodeFailed || e.Exit != 7 {
		t.Errorf("exit code 7: %v", err)
	}
	_, _, err = call(t, h, abi.Call{Plugin: "filter-c", Input: []byte("#trap\n")})
	if abi.CodeOf(err) != abi.CodeTrap {
		t.Errorf("trap: %v", err)
	}
	_, _, err = call(t, h, abi.Call{Plugin: "filter-go", Input: []byte("{")})
	if e := abi.AsError(err); e == nil || e.Code != abi.CodeFailed || e.Exit != 1 {
		t.Errorf("bad JSON: %v", err)
	}
}

func TestExtismPluginRunsUnchanged(t *testing.T) {
	h := open(t, host.Config{Dir: filepath.Join(build, "testdata"), Only: []string{"extism-go"}})
	long := strings.Repeat("0123456789abcde\n", 64<<10)
	if got := succeed(t, h, "extism-go:echo", long); got != long {
		t.Errorf("echo of %d bytes gave %d", len(long), len(got))
	}
	if got := succeed(t, h, "extism-go:upper", "é"); got != "É" {
		t.Errorf("upper: %q", got)
	}
	succeed(t, h, "extism-go:noop", "")
}

func TestGoSDK(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Header.Get("X-Sent"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s", r.Method, body)
	}))
	defer server.Close()
	var logs bytes.Buffer
	var metrics []abi.Metric
	cfg := host.Config{
		Dir:    folder(t, "testdata/sdk-go", server.URL),
		Logger: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
		OnEvent: func(e host.Event) {
			if e.Kind == host.EventMetric {
				metrics = append(metrics, e.Metric)
			}
		},
	}
	h := open(t, cfg)
	for _, c := range []struct{ function, in, config, out string }{
		{"config", "a", "a=é", "é"},
		{"vars", "get a\nset a 1\nget a\nset b 22\nget b\nget a\nset a 333\nget a\nset a\nget a\nget b\n", "", " false\n1 true\n22 true\n1 true\n333 true\n false\n22 true\n"},
		{"metrics", "add pages_total 2 kind a\nset level -1\nobserve seconds 0.5\n", "", "ok\nok\nok\n"},
		{"progress", "", "", "false"},
		{"goroutines", "你好", "", "你好"},
		{"fail", "", "", "fine"},
	} {
		if got := succeed(t, h, "sdk-go:"+c.function, c.in, c.config); got != c.out {
			t.Errorf("%s %q: got %q, want %q", c.function, c.in, got, c.out)
		}
	}
	for line := range strings.Lines("add Pages 1\nadd a -1\nset a NaN\n") {
		if got := succeed(t, h, "sdk-go:metrics", line); got == "ok\n" {
			t.Errorf("taken: %s", line)
		}
	}
	want := []abi.Metric{{Kind: abi.MetricAdd, Name: "pages_total", Value: 2, Labels: map[string]string{"kind": "a"}},
		{Kind: abi.MetricSet, Name: "level", Value: -1}, {Kind: abi.MetricObserve, Name: "seconds", Value: 0.5}}
	if !reflect.DeepEqual(metrics, want) {
		t.Errorf("metrics %+v", metrics)
	}
	_, reports, _ := call(t, h, abi.Call{Plugin: "sdk-go", Function: "progress"})
	if !slices.Equal(reports, []abi.Progress{{Fraction: 0.25, Step: 1, Total: 4, Message: "one of four"}, {Fraction: 0.5, Message: "half"}}) {
		t.Errorf("progress %+v", reports)
	}
	succeed(t, h, "sdk-go:logs", "a message")
	if got := logs.String(); strings.Contains(got, "2 a message") || !strings.Contains(got, "3 a message") || !strings.Contains(got, "4 a message") {
		t.Errorf("logs %s", got)
	}
	checkGoSDKCheckpoints(t, h)
	const request = `","method":"PUT","headers":{"X-Sent":"1"},"body":"b"}`
	var reply struct {
		Status  int
		Headers map[string]string
		Body    string
	}
	if err := json.Unmarshal([]byte(succeed(t, h, "sdk-go:http", `{"url":"`+server.URL+request)), &reply); err != nil ||
		reply.Status != http.StatusTeapot || reply.Headers["x-seen"] != "1" || reply.Body != "PUT b" {
		t.Errorf("http: %+v, %v", reply, err)
	}
	for _, c := range []struct {
		how, message string
		code         abi.Code
	}{
		{"error", "an error", abi.CodeFailed},
		{"invalid", "bad input", abi.CodeInvalid},
		{"panic", "panic: a panic (main.go:156)", abi.CodeFailed},
		{"nil", "panic: runtime error: invalid memory address or nil pointer dereference (main.go:158)", abi.CodeFailed},
		{"index", "panic: runtime error: slice bounds out of range [:2] with length 0 (main.go:160)", abi.CodeFailed},
		{"exit", "", abi.CodeFailed},
		{"block", "", ""}, // the Go runtime gives up: all goroutines are asleep
		{"recurse", "", ""},
	} {
		_, _, err := call(t, h, abi.Call{Plugin: "sdk-go", Function: "fail", Input: []byte(c.how)})
		e := abi.AsError(err)
		if e == nil || c.code != "" && e.Code != c.code || c.message != "" && e.Message != c.message {
			t.Errorf("fail %s: %s, %v; want %s, %s", c.how, abi.CodeOf(err), err, c.code, c.message)
		}
	}
}

func checkGoSDKCheckpoints(t *testing.T, h *host.Host) {
	t.Helper()
	var kept []byte
	save := func(state []byte) error { kept = state; return nil }
	for _, c := range []struct{ in, out, kept, message string }{
		{"a", "a", "a", ""},
		{"bc", "abc", "abc", ""},
		{"much", "", "abc", "checkpoint: it has 65537 bytes, at most 65536 are kept; save less, such as where to go on"},
		{"forget", "", "", ""},
		{"d", "d", "d", ""},
	} {
		r, err := h.Run(t.Context(), abi.Call{Plugin: "sdk-go", Function: "checkpoint", Input: []byte(c.in), Checkpoint: kept, Save: save}, nil)
		if string(r.Output) != c.out || string(kept) != c.kept || (err == nil) != (c.message == "") || err != nil && abi.AsError(err).Message != c.message {
			t.Errorf("checkpoint %s: %q, kept %q, %v", c.in, r.Output, kept, err)
		}
	}
	_, _, err := call(t, h, abi.Call{Plugin: "sdk-go", Function: "checkpoint", Input: []byte("a")})
	if e := abi.AsError(err); e == nil || !strings.Contains(e.Message, "this call keeps none") {
		t.Errorf("checkpoint of no task: %v", err)
	}
}

// The guests of guests/ and hostile/ are the host's own to test. Here: each of them loads, and none of broken/ and hostile/load/ does.
func TestGuestsLoadAndBrokenOnesDoNot(t *testing.T) {
	for _, dir := range []string{"guests", "hostile"} {
		h := open(t, host.Config{Dir: filepath.Join(build, "testdata", dir)})
		built, err := filepath.Glob(filepath.Join(build, "testdata", dir, "*.wasm"))
		if err != nil || len(h.Plugins()) != len(built) || len(built) < 10 {
			t.Errorf("%d of %d guests, %v", len(h.Plugins()), len(built), err)
		}
	}
	for _, dir := range []string{"broken", "hostile/load"} {
		h, err := host.New(t.Context(), host.Config{Dir: filepath.Join(build, "testdata", dir), WatchInterval: -1, Limits: abi.Limits{RunTime: 1e9}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range h.Plugins() {
			if p.State != host.StateRefused {
				t.Errorf("%s/%s is %s", dir, p.Name, p.State)
			}
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
