package cases

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// folder makes a folder from a txtar archive. A file whose last line ends in a backslash has no line break there.
func folder(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		data, _ := strings.CutSuffix(string(f.Data), "\\\n")
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// probe makes a probe with one of the small guests.
func probe(t *testing.T, guest string) *Probe {
	t.Helper()
	p, err := NewProbe(t.Context(), host.Config{CacheDir: "off"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join("..", "..", "build", "testdata", "guests")
	if _, err := p.Load(t.Context(), dir, guest, true); err != nil {
		t.Fatalf("%v\nrun \"make plugins\" first", err)
	}
	return p
}

// results runs the cases of an archive and gives one line for each, and for each of its problems.
func results(t *testing.T, guest, dir string, update bool) string {
	t.Helper()
	list, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	err = Run(t.Context(), probe(t, guest), guest, list, update, func(r Report) {
		b.WriteString(r.Case.Name + " " + string(r.Status) + "\n")
		for _, p := range r.Problems {
			b.WriteString("  " + strings.ReplaceAll(p.Text, dir, "DIR") + "\n" + p.Diff)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCases(t *testing.T) {
	for _, test := range []struct{ name, guest, files, want string }{
		{"outputs", "echo", `
-- same.in --
one
two
-- same.out --
one
two
-- differs.in.txt --
one
2
three
-- differs.out.txt --
one
two
three
-- nothing.in --
x
-- json.in --
{"b": 1.0, "a": [2]}
-- json.out.json --
{"a":[2],"b":1}
-- json-differs.in --
{"a": 1}
-- json-differs.out --
{"a": 2}
-- json-differs.json --
{"compare": "json"}
-- args.json --
{"args": {"name": "x"}, "ticks_max": 1000000}
`, `args passed
differs failed
  the output differs
@@ -1,3 +1,3 @@
 one
-two
+2
 three
json passed
json-differs failed
  the output differs
@@ -1,3 +1,3 @@
 {
-  "a": 2
+  "a": 1
 }
nothing failed
  there is nothing to compare with: --update writes the output into DIR/nothing.out
same passed
`},
		{"progress", "progress", `
-- exact.in --
2
-- exact.json --
{"progress": [0.5, {"step": 2, "total": 2, "message": "step 2"}]}
-- few.in --
2
-- few.json --
{"progress": {"min": 3}}
-- many.in --
3
-- many.json --
{"progress": [1]}
-- ticks.in --
1000
-- ticks.json --
{"ticks_max": 1}
-- stopped.in --
-- stopped.json --
{"function": "wait", "timeout_ms": 50, "error": {"code": "timeout"}}
`, `exact passed
few failed
  progress was reported 2 times, less than 3
many failed
  progress report 1: the fraction is 0.3333333333333333, not 1
stopped passed
ticks failed
  it took TICKS ticks, more than the 1 of ticks_max
`},
		{"metrics", "metrics", `
-- all.in --
add words_total 2 {"lang":"en"}
add words_total 3 {"lang":"de"}
set depth 7
set depth 4
observe size_bytes 10
observe size_bytes 30
-- all.json --
{"metrics": {"words_total": 5, "words_total{lang=de}": 3, "depth": 4, "size_bytes": {"count": 2, "value": 40}, "none_total": {"count": 0}}}
-- wrong.in --
add chars_total 2
-- wrong.json --
{"metrics": {"chars_total": 3, "lines_total": 1}}
`, `all passed
wrong failed
  the metric chars_total is 2, not 3
  the metric lines_total was not reported
`},
		{"errors", "env", `
-- missing.in --
no
-- missing.json --
{"function": "config", "error": {"code": "failed", "contains": "no such key"}}
-- config.in --
colour\
-- config.json --
{"function": "config", "config": {"colour": "blue"}}
-- config.out --
blue
-- succeeds.json --
{"function": "count", "error": {"contains": "x"}}
-- other.in --
no
-- other.json --
{"function": "config", "error": {"code": "invalid"}}
-- fails.in --
no
-- fails.json --
{"function": "config"}
-- pristine-a.json --
{"function": "count"}
-- pristine-a.out.json --
1
-- pristine-b.json --
{"function": "count"}
-- pristine-b.out.json --
1
`, `config failed
  the output differs
@@ -1,1 +1,1 @@
-blue
+blue
\ no line break at the end
fails failed
  the call failed (failed): no such key
missing passed
other failed
  the error is failed (no such key), not invalid
pristine-a passed
pristine-b passed
succeeds failed
  the call succeeded; it must fail
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := results(t, test.guest, folder(t, test.files), false)
			want := test.want
			if before, after, ok := strings.Cut(want, "TICKS"); ok { // any number
				rest, found := strings.CutPrefix(got, before)
				if found = found && strings.HasSuffix(rest, after); found {
					want = got
				}
			}
			if got != want {
				t.Error(Diff([]byte(want), []byte(got)))
			}
		})
	}
}

// TestUpdate: what differs, and what was not there, is written; what is the same as JSON, an error and a case that checks other things
// are left alone. The next run passes.
func TestUpdate(t *testing.T) {
	dir := folder(t, `
-- differs.in --
new
-- differs.out --
old
-- json.in --
{"a": 1}
-- json.out.json --
{ "a": 1 }
-- checks.in --
x
-- checks.json --
{"ticks_max": 1000000}
-- first.in --
first
-- as-json.json --
{"args": {"b": 1}, "compare": "json"}
-- error.in --
x
-- error.json --
{"function": "none"}
`)
	got := results(t, "echo", dir, true)
	if want := "as-json updated\nchecks passed\ndiffers updated\nerror failed\n"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "first updated\njson passed\n") {
		t.Error(got)
	}
	for file, want := range map[string]string{
		"differs.out": "new\n", "json.out.json": "{ \"a\": 1 }\n", "first.out": "first\n", "as-json.out.json": `{"b":1}`, "checks.out": "", "error.out": "",
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if string(data) != want || want == "" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is %q (%v), want %q", file, data, err, want)
		}
	}
	if got := results(t, "echo", dir, false); strings.Count(got, "failed\n") != 1 {
		t.Error(got)
	}
}

// TestBadCases: what is wrong with files is told with the file and the key.
func TestBadCases(t *testing.T) {
	for _, test := range []struct{ files, want string }{
		{"", "there are no cases in DIR"},
		{"-- x.json --\n{\"functoin\": \"a\"}", `DIR/x.json: unknown key "functoin"`},
		{"-- x.json --\n{\"error\": {\"kind\": \"a\"}}", `DIR/x.json: error: unknown key "kind"`},
		{"-- x.json --\n{\"progress\": [{\"stop\": 1}]}", `DIR/x.json: progress: unknown key "stop"`},
		{"-- x.json --\n{\"progress\": {\"least\": 1}}", `DIR/x.json: progress: unknown key "least"`},
		{"-- x.json --\n{\"progress\": {\"min\": 2, \"max\": 1}}", "DIR/x.json: progress: min and max must be"},
		{"-- x.json --\n{\"metrics\": {\"a{b\": 1}}", `DIR/x.json: metrics: "a{b" is no metric`},
		{"-- x.json --\n{\"metrics\": {\"a\": {}}}", "DIR/x.json: metrics: a: it needs a value"},
		{"-- x.json --\n{\"metrics\": {\"a\": \"1\"}}", "DIR/x.json: metrics: a JSON string does not belong here"},
		{"-- x.json --\n{\"args\": [1]}", "DIR/x.json: args: it must be a JSON object"},
		{"-- x.json --\n{\"error\": {\"code\": \"bad\"}}", `DIR/x.json: error: there is no code "bad"`},
		{"-- x.json --\n{\"error\": {}}", "DIR/x.json: error: it needs"},
		{"-- x.json --\n{\"compare\": \"yaml\"}", "DIR/x.json: compare: "},
		{"-- x.json --\n{\"timeout_ms\": -1}", "DIR/x.json: timeout_ms: "},
		{"-- x.json --\n{} {}", "DIR/x.json: there is something after the end"},
		{"-- x.json --\n{", "DIR/x.json: not valid JSON"},
		{"-- x.out --\n", "DIR/x.out: there is no input beside it"},
		{"-- x.in --\n-- x.in.csv --\n", "DIR/x.in and DIR/x.in.csv are both the input"},
		{"-- x.in --\n-- x.out --\n-- x.out.csv --\n", "DIR/x.out and DIR/x.out.csv are both the output"},
		{"-- x.in --\n-- x.json --\n{\"args\": {}}", "DIR/x.json: args: the case has an input in DIR/x.in"},
		{"-- x.in --\n-- x.out --\n-- x.json --\n{\"error\": {\"code\": \"failed\"}}", "DIR/x.json: error: the case has an output in DIR/x.out"},
		{"-- x.txt --\n", "DIR/x.txt is no file of a case"},
	} {
		dir := folder(t, test.files)
		_, err := Load(dir)
		if err == nil || abi.CodeOf(err) != abi.CodeInvalid || !strings.HasPrefix(strings.ReplaceAll(err.Error(), dir, "DIR"), test.want) {
			t.Errorf("%s\ngives %v, want %s", test.files, err, test.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

// TestRunEndsWithItsContext: a call that does not end is stopped.
func TestRunEndsWithItsContext(t *testing.T) {
	list, err := Load(folder(t, "-- a.in --\n1\n-- a.out --\n1\n-- b.json --\n{\"function\": \"flood\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	err = Run(ctx, probe(t, "progress"), "progress", list, false, func(Report) { cancel(cause) })
	if !errors.Is(err, cause) {
		t.Error(err)
	}
}
