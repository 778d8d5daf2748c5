// Package plugintest calls functions of the plugins that ship, in their tests on this machine's own platform.
package plugintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/sdk/go/sdktest"
)

// Call calls a function with an input and configuration, each value "key=value".
func Call(f func() int32, input string, config ...string) sdktest.Result {
	c := sdktest.Call{Input: []byte(input), Config: map[string]string{}}
	for _, kv := range config {
		k, v, _ := strings.Cut(kv, "=")
		c.Config[k] = v
	}
	return sdktest.Run(c, f)
}

// Run is [Call] of what has to succeed. It returns the output.
func Run(tb testing.TB, f func() int32, input string, config ...string) string {
	tb.Helper()
	r := Call(f, input, config...)
	if r.Code != 0 {
		tb.Fatalf("%.80q with %.200q: code %d, %s", input, config, r.Code, r.Error)
	}
	return string(r.Output)
}

// Refused is a call that has to end as invalid input.
type Refused = struct {
	F      func() int32
	Input  string
	Config []string
	Why    string // is in the message
}

// Refuse makes calls that have to be refused.
func Refuse(tb testing.TB, calls []Refused) {
	tb.Helper()
	for _, c := range calls {
		r := Call(c.F, c.Input, c.Config...)
		if r.Code != 1 || !r.Invalid || !strings.Contains(r.Error, c.Why) {
			tb.Errorf("%.80q with %.200q: code %d, invalid %v, %q; want %q", c.Input, c.Config, r.Code, r.Invalid, r.Error, c.Why)
		}
	}
}

// Table makes calls that have to succeed, each with its output.
func Table(tb testing.TB, f func() int32, rows []Row) {
	tb.Helper()
	for _, row := range rows {
		r := Call(f, row.Input, row.Config...)
		if r.Code != 0 || string(r.Output) != row.Want {
			tb.Errorf("%.200q with %.200q: code %d, %s\n got %q\nwant %q", row.Input, row.Config, r.Code, r.Error, r.Output, row.Want)
		}
	}
}

// Row is a call of [Table].
type Row = struct {
	Config      []string
	Input, Want string
}

// Set is configuration as a list.
func Set(config ...string) []string { return config }

// File reads a file of the repository, whose name is relative to its root.
func File(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// Documents are the repository's own pages: README.md and docs/*.md.
func Documents(tb testing.TB) map[string]string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join("..", "..", "..", "docs", "*.md"))
	if err != nil || len(found) < 5 {
		tb.Fatalf("%d documents, %v", len(found), err)
	}
	docs := map[string]string{"README.md": File(tb, "README.md")}
	for _, path := range found {
		name := "docs/" + filepath.Base(path)
		docs[name] = File(tb, name)
	}
	return docs
}

// ModuleFile reads a file of a Go module that the plugins are built with.
func ModuleFile(tb testing.TB, module, name string) string {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		tb.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
