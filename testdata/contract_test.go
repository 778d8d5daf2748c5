package testdata_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// The contract suite: plugins of testdata/contract, one in each language with its SDK, have the same functions, and this is what they all do.
//
//	echo        gives the input back
//	upper       a to z in capitals; reports each line, numbered from 1, with the line as its message
//	fail        fails with the input as its message; invalid says that the input is at fault; panic gives up with it
//	trap        traps, where the language can
//	action      an action that gives back its arguments: name, a text that has to be there; times, an integer; loud, a bool; scale, a number
//	config      the value of the key that the input names, else the error "no such key"
//	logs        the input, at the levels debug, info, warn and error
//	metrics     adds 2 to pages_total{kind="a"}, sets level to -1, observes 0.5 seconds, and gives what the host says to adding to Pages
//	vars        gives the var kept, or "none", sets it to the input, and removes the var gone
//	http        puts "b" to the URL, with the header X-Sent: 1, and gives the status and the body; header gives the answer's header X-Seen
//	checkpoint  adds the input to the checkpoint and gives what it loads then; "forget" forgets it, "much" is one that is too large
//	fraction    reports one of four, then a half, then 5 of 3, and gives whether it is cancelled
//	cancel      reports, and waits until it is cancelled, which it says; loop reports, and does not end
//
// A language may lack some of them; has tells which. What docs/languages.md says of it is compared with that.
type contractPlugin struct {
	row    string   // in docs/languages.md
	lacks  []string // functions
	file   string   // where a panic says that it was
	panic  string   // what a panic begins with, where that is not "panic: "
	script string   // the file that is the plugin, where nothing is built
}

var contracts = map[string]contractPlugin{
	"go":     {row: "Go", lacks: []string{"trap"}, file: "main.go"},
	"rust":   {row: "Rust", file: "contract.rs"},
	"c":      {row: "C", file: "contract.h"},
	"c-wasi": {row: "C", file: "contract.h"},
	"cpp":    {row: "C++", file: "contract.h"},
	"as":     {row: "AssemblyScript", file: "contract.ts"},
	"js":     {row: "JavaScript", lacks: []string{"trap"}, file: "js.js", panic: "TypeError: ", script: "contract/js/contract.js"},
	"wat":    {row: "WAT", lacks: []string{"panic", "action", "header"}},
}

// contract is a host with the plugins, a server that they may ask, and what the host told of them. Each plugin is there a second time, as
// NAME-at-once, without the time to tidy up when it is cancelled.
type contract struct {
	host    *host.Host
	url     string
	mu      sync.Mutex
	metrics map[string][]abi.Metric
}

func newContract(t *testing.T) *contract {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", `é "quoted"`)
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("X-Sent"), body)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(abi.Manifest{
		AllowedHosts: []string{u.Hostname()},
		Config:       map[string]string{"mark": "é!", "empty": ""},
		Taskhost:     &abi.ManifestTaskhost{MaxOutputBytes: 1 << 20, CancelGraceMS: 10_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, plugin := range contracts {
		path, ext := plugin.script, filepath.Ext(plugin.script)
		if path == "" {
			path, ext = filepath.Join(build, "testdata", "contract", name+".wasm"), ".wasm"
		}
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (make plugins builds it)", err)
		}
		for file, b := range map[string][]byte{name + ext: code, name + ".json": manifest, name + "-at-once" + ext: code} {
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := &contract{url: server.URL, metrics: map[string][]abi.Metric{}}
	c.host = open(t, host.Config{Dir: dir, OnEvent: func(e host.Event) {
		if e.Kind == host.EventMetric {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.metrics[e.Plugin] = append(c.metrics[e.Plugin], e.Metric)
		}
	}})
	return c
}

// behaviour is a call, and what comes of it.
type behaviour struct {
	function, input string
	config          map[string]string
	vars            map[string][]byte

	output   string
	json     bool // the output is JSON, and compared as such
	code     abi.Code
	message  string
	progress []abi.Progress
	log      []string
	left     map[string][]byte
}

func (c *contract) behaviours() []behaviour {
	big := strings.Repeat("\x00é\xff", 1<<20/4)
	ok := func(input, output string) behaviour {
		return behaviour{function: "action", input: input, output: output, json: true}
	}
	bad := func(input, message string) behaviour {
		return behaviour{function: "action", input: input, code: abi.CodeInvalid, message: message}
	}
	noURL := "http://127.0.0.2:1/"
	return []behaviour{
		{function: "echo"},
		{function: "echo", input: "x", output: "x"},
		{function: "echo", input: "\xff\xc0\x80\x00é", output: "\xff\xc0\x80\x00é"},
		{function: "echo", input: big, output: big},
		{function: "echo", input: big + "x", code: abi.CodeOutputLimit, message: "its output is larger than the limit of 1048576 bytes"},
		{function: "upper", input: "one é\n\nlast", output: "ONE é\n\nLAST", progress: []abi.Progress{
			{Fraction: 1. / 3, Step: 1, Total: 3, Message: "one é"}, {Fraction: 2. / 3, Step: 2, Total: 3}, {Fraction: 1, Step: 3, Total: 3, Message: "last"},
		}},
		{function: "upper", progress: []abi.Progress{{Fraction: 1, Step: 1, Total: 1}}},
		{function: "fail", input: "disk \"full\" é", code: abi.CodeFailed, message: "disk \"full\" é"},
		{function: "invalid", input: "no date", code: abi.CodeInvalid, message: "no date"},
		{function: "panic", input: "oh é", code: abi.CodeFailed, message: "panic: oh é ("},
		{function: "trap", code: abi.CodeTrap, message: "it trapped: unreachable"},
		ok(` {"name": "é\"\n\u00e9\ud83c\udf0d\u0001", "times": 3, "loud": true, "scale": 0.125} `, `{"name":"é\"\né🌍\u0001","times":3,"loud":true,"scale":0.125}`),
		ok(`{"name": "", "times": null}`, `{"name":"","times":0,"loud":false,"scale":0}`),
		ok(`{"scale": -1.5e300, "times": -9007199254740991, "name": "x"}`, `{"name":"x","times":-9007199254740991,"loud":false,"scale":-1.5e300}`),
		ok(`{"scale": 1.79769313486231e308, "name": "x", "times": 9007199254740991}`,
			`{"name":"x","times":9007199254740991,"loud":false,"scale":1.79769313486231e308}`),
		ok(`{"scale": 0.1, "name": "x"}`, `{"name":"x","times":0,"loud":false,"scale":0.1}`),
		ok(`{"scale": 5e-7, "name": "x"}`, `{"name":"x","times":0,"loud":false,"scale":0.0000005}`),
		ok(`{"scale": 3, "name": "x"}`, `{"name":"x","times":0,"loud":false,"scale":3}`),
		bad(`{"name": "x", "nam": 1}`, `there is no argument "nam"`),
		bad(`{"name": 7}`, "argument name: number where string belongs"),
		bad(`{"name": "x", "times": "3"}`, "argument times: string where integer belongs"),
		bad(`{"name": "x", "times": 1.5}`, "argument times: number 1.5 where integer belongs"),
		bad(`{"name": "x", "loud": []}`, "argument loud: array where bool belongs"),
		bad(`{"name": "x", "scale": {}}`, "argument scale: object where number belongs"),
		bad(`{"name": "x", "scale": true}`, "argument scale: bool where number belongs"),
		bad(``, "argument name is missing"),
		bad(`{"name": null}`, "argument name is missing"),
		bad(`[]`, "the arguments are not a JSON object"),
		bad(`{"name": `, "the arguments are not a JSON object"),
		bad(`{"name": "x",}`, "the arguments are not a JSON object"),
		bad(`{"nam": 1, "name": }`, "the arguments are not a JSON object"),
		bad(`{"name": "\x"}`, "the arguments are not a JSON object"),
		bad(`{"name": "x", "times": 01}`, "the arguments are not a JSON object"),
		bad(`{"name": "x", "times": 9223372036854775808}`, "argument times: number 9223372036854775808 where integer belongs"),
		bad(`{"name": "x"} {}`, "something follows the JSON object of the arguments"),
		{function: "config", input: "mark", output: "é!"},
		{function: "config", input: "mark", config: map[string]string{"mark": "?"}, output: "?"},
		{function: "config", input: "none", code: abi.CodeFailed, message: "no such key"},
		{function: "config", input: "empty", code: abi.CodeFailed, message: "no such key"},
		{function: "logs", input: "a line é", log: []string{"info a line é", "warn a line é", "error a line é"}},
		{function: "metrics", output: "metric Pages: the name must match ^[a-z][a-z0-9_]*$"},
		{function: "vars", input: "new", output: "none", vars: map[string][]byte{}, left: map[string][]byte{"kept": []byte("new")}},
		{
			function: "vars", input: "new", output: "o\xff",
			vars: map[string][]byte{"kept": []byte("o\xff"), "gone": {1}, "other": {2}},
			left: map[string][]byte{"kept": []byte("new"), "other": {2}},
		},
		{function: "http", input: c.url, output: "418 PUT 1 b"},
		{function: "http", input: noURL, code: abi.CodeDenied},
		{function: "header", input: c.url, output: `é "quoted"`},
		{function: "fraction", output: "false", progress: []abi.Progress{
			{Fraction: 0.25, Step: 1, Total: 4, Message: "one of four"}, {Fraction: 0.5, Message: "half"}, {Fraction: 1, Step: 3, Total: 3},
		}},
	}
}

func TestContract(t *testing.T) {
	c := newContract(t)
	behaviours := c.behaviours()
	for name, plugin := range contracts {
		t.Run(name, func(t *testing.T) {
			for _, b := range behaviours {
				if !slices.Contains(plugin.lacks, b.function) {
					c.check(t, name, plugin, b)
				}
			}
			c.checkMetrics(t, name)
			c.checkCheckpoints(t, name)
			c.checkCancel(t, name)
			p, err := c.host.Inspect(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range p.Functions {
				if slices.Contains(plugin.lacks, f.Name) {
					t.Errorf("it has %s after all: see contracts", f.Name)
				}
			}
		})
	}
	if got, _, err := call(t, c.host, abi.Call{Plugin: "cpp", Function: "made"}); err != nil || got != "42" {
		t.Errorf("what a constructor made: %q, %v", got, err)
	}
}

func (c *contract) check(t *testing.T, name string, plugin contractPlugin, b behaviour) {
	t.Helper()
	var reports []abi.Progress
	r, err := c.host.Run(t.Context(), abi.Call{Plugin: name, Function: b.function, Input: []byte(b.input), Config: b.config, Vars: b.vars},
		func(p abi.Progress) { reports = append(reports, p) })
	what := fmt.Sprintf("%s of %.60q", b.function, b.input)
	if b.code != "" {
		e, message := abi.AsError(err), b.message
		if b.function == "panic" && plugin.panic != "" {
			message = plugin.panic + strings.TrimPrefix(message, "panic: ")
		}
		if e == nil || e.Code != b.code || !strings.HasPrefix(e.Message, message) {
			t.Errorf("%s: %s, %v; want %s, %q", what, abi.CodeOf(err), err, b.code, message)
		} else if b.function == "panic" && !strings.Contains(e.Message, plugin.file+":") {
			t.Errorf("%s: %q does not name the place in %s", what, e.Message, plugin.file)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if b.json {
		var got, want any
		if err := errors.Join(json.Unmarshal(r.Output, &got), json.Unmarshal([]byte(b.output), &want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %s, %v, want %s", what, r.Output, err, b.output)
		}
	} else if string(r.Output) != b.output {
		t.Errorf("%s: got %.100q, want %.100q", what, r.Output, b.output)
	}
	if !slices.Equal(reports, b.progress) {
		t.Errorf("%s: reports %+v, want %+v", what, reports, b.progress)
	}
	var log []string
	for _, line := range r.Log {
		log = append(log, line.Level+" "+line.Text)
	}
	if !slices.Equal(log, b.log) {
		t.Errorf("%s: log %q, want %q", what, log, b.log)
	}
	if b.vars != nil && !reflect.DeepEqual(r.Vars, b.left) {
		t.Errorf("%s: left vars %q, want %q", what, r.Vars, b.left)
	}
}

func (c *contract) checkMetrics(t *testing.T, name string) {
	t.Helper()
	want := []abi.Metric{
		{Kind: abi.MetricAdd, Name: "pages_total", Value: 2, Labels: map[string]string{"kind": "a"}},
		{Kind: abi.MetricSet, Name: "level", Value: -1},
		{Kind: abi.MetricObserve, Name: "seconds", Value: 0.5},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.metrics[name]; !reflect.DeepEqual(got, want) {
		t.Errorf("metrics %+v, want %+v", got, want)
	}
}

func (c *contract) checkCheckpoints(t *testing.T, name string) {
	t.Helper()
	var kept []byte
	save := func(state []byte) error { kept = bytes.Clone(state); return nil }
	for _, s := range []struct{ in, out, kept, message string }{
		{"a", "a", "a", ""},
		{"bé", "abé", "abé", ""},
		{"much", "", "abé", "checkpoint: it has 65537 bytes, at most 65536 are kept; save less, such as where to go on"},
		{"forget", "", "", ""},
		{"d", "d", "d", ""},
	} {
		r, err := c.host.Run(t.Context(), abi.Call{Plugin: name, Function: "checkpoint", Input: []byte(s.in), Checkpoint: kept, Save: save}, nil)
		if string(r.Output) != s.out || string(kept) != s.kept || (err == nil) != (s.message == "") || err != nil && abi.AsError(err).Message != s.message {
			t.Errorf("checkpoint of %q: %q, kept %q, %v", s.in, r.Output, kept, err)
		}
	}
	_, err := c.host.Run(t.Context(), abi.Call{Plugin: name, Function: "checkpoint", Input: []byte("a")}, nil)
	if e := abi.AsError(err); e == nil || !strings.Contains(e.Message, "this call keeps none") {
		t.Errorf("checkpoint of a call that is no attempt: %v", err)
	}
}

// checkCancel cancels a function that asks, and has the time to tidy up, and one that never does.
func (c *contract) checkCancel(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := c.host.Run(ctx, abi.Call{Plugin: name, Function: "cancel"}, func(abi.Progress) { cancel() })
	if e := abi.AsError(err); e == nil || e.Code != abi.CodeCancelled || !strings.HasSuffix(e.Message, "it said: tidied up") {
		t.Errorf("cancel: %s, %v", abi.CodeOf(err), err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	_, err = c.host.Run(ctx, abi.Call{Plugin: name + "-at-once", Function: "loop"}, func(abi.Progress) { cancel() })
	if e := abi.AsError(err); e == nil || e.Code != abi.CodeCancelled || strings.Contains(e.Message, "said") {
		t.Errorf("loop: %s, %v", abi.CodeOf(err), err)
	}
}

// capabilities are the columns of the table in docs/languages.md, and the functions that show each.
var capabilities = map[string][]string{
	"progress":   {"upper", "fraction"},
	"cancel":     {"cancel"},
	"metrics":    {"metrics"},
	"config":     {"config"},
	"vars":       {"vars"},
	"HTTP":       {"http"},
	"checkpoint": {"checkpoint"},
	"actions":    {"action"},
	"panics":     {"panic"},
}

func TestTheTableOfLanguagesSaysWhatTheContractRan(t *testing.T) {
	var columns []string
	rows := map[string][]string{}
	for line := range strings.Lines(read(t, "../docs/languages.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) < 2:
			if len(rows) > 0 {
				columns = nil // the table's end
			}
		case slices.Contains(cells, "checkpoint"):
			columns = cells[1:]
		case columns != nil && !strings.HasPrefix(cells[0], "---"):
			rows[cells[0]] = cells[1:]
			if len(cells)-1 != len(capabilities) || len(columns) != len(capabilities) {
				t.Fatalf("%s has %d cells, the table %d columns, and there are %d capabilities", cells[0], len(cells)-1, len(columns), len(capabilities))
			}
			for i, column := range columns {
				if capabilities[column] == nil {
					t.Fatalf("column %s is none of the contract", column)
				}
				for _, plugin := range contracts {
					if plugin.row != cells[0] {
						continue
					}
					want := "yes"
					for _, function := range capabilities[column] {
						if slices.Contains(plugin.lacks, function) {
							want = "no"
						}
					}
					if cells[i+1] != want {
						t.Errorf("%s, %s: the table says %q, the contract %q", cells[0], column, cells[i+1], want)
					}
				}
			}
		}
	}
	for name, plugin := range contracts {
		if rows[plugin.row] == nil {
			t.Errorf("%s: there is no row %s", name, plugin.row)
		}
	}
}
