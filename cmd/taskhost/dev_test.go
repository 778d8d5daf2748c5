package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// devProject makes a project of the processor that upper-cases text, in C, with one case.
func devProject(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "loud")
	source, err := os.ReadFile(filepath.Join(repository(t), "testdata", "upper-c", "upper.c"))
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"loud.c": string(source), "taskhost.json": `{"name": "loud", "lang": "c"}`, "cases/hello.in": "hello", "cases/hello.out": "HELLO",
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// edit replaces text in a file.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q", path, old)
	}
	// At once: a file that is being written would be looked at, and give a run of its own.
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	err = os.WriteFile(next, []byte(strings.Replace(string(data), old, new, 1)), 0o600)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// devProcess is taskhost dev without a terminal.
type devProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	seen  strings.Builder
}

func startDev(t *testing.T, args ...string) *devProcess {
	t.Helper()
	p := &devProcess{t: t, cmd: exec.Command("taskhost", append([]string{"dev"}, args...)...), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), scriptEnv(t)...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			p.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// line is the next line; ok is false at the end.
func (p *devProcess) line() (line string, ok bool) {
	p.t.Helper()
	select {
	case line, ok = <-p.lines:
		p.seen.WriteString(line + "\n")
		return line, ok
	case <-time.After(2 * time.Minute):
		p.t.Fatalf("no further line after\n%s", p.seen.String())
		return "", false
	}
}

// shows waits for these texts, in this order, on one line or several.
func (p *devProcess) shows(texts ...string) {
	p.t.Helper()
	rest := ""
	for _, text := range texts {
		for {
			if _, after, found := strings.Cut(rest, text); found {
				rest = after
				break
			}
			var ok bool
			if rest, ok = p.line(); !ok {
				p.t.Fatalf("no %q in\n%s", text, p.seen.String())
			}
		}
	}
}

// stop interrupts it, as Ctrl-C does; that is no failure.
func (p *devProcess) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	for range p.lines {
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Error(err)
	}
}

// TestDev: a save gives a new output, an error of the compiler leaves the version before, and a save ends a run that does not end.
func TestDev(t *testing.T) {
	t.Parallel()
	dir := devProject(t)
	source := filepath.Join(dir, "loud.c")
	p := startDev(t, dir)
	p.shows("loud  run 1, begins", "built in", "hello.in (5 B)", "HELLO", "completed in", "ticks", "progress", "✓ cases 1 passed")

	edit(t, source, "-= 'a' - 'A'", "-= 'a' - 'B'")
	p.shows("run 2, loud.c changed", "IFMMP", "the output changed", "-HELLO", "+IFMMP", "after the save", "✗ cases 0 passed, 1 failed", "hello: the output differs")

	edit(t, source, "-= 'a' - 'B'", "-= 'a' - ;")
	p.shows("run 3", "loud.c:65:", "expected expression", "the build failed", "the version before goes on")
	edit(t, filepath.Join(dir, "cases", "hello.in"), "hello", "aa")
	p.shows("run 4, "+filepath.Join("cases", "hello.in")+" changed", "BB")

	edit(t, source, "-= 'a' - ;", "-= 'a' - 'A'; for (;;) {}")
	p.shows("run 5", "built in")
	edit(t, source, " for (;;) {}", "")
	p.shows("cancelled", "run 6", "AA", "✗ cases 0 passed")

	edit(t, source, "__attribute__((export_name(\"process\")))", "__attribute__((import_module(\"extism:host/env\"), import_name(\"nothing\"))) void nothing(void);\n"+
		"__attribute__((export_name(\"other\"))) void other(void) { nothing(); }\n__attribute__((export_name(\"process\")))")
	p.shows("run 7", "it cannot be loaded", "nothing", "the version before goes on")
	p.stop()
}

// TestDevJSON: each run is an object on a line of its own.
func TestDevJSON(t *testing.T) {
	t.Parallel()
	dir := devProject(t)
	input := filepath.Join(t.TempDir(), "in.txt")
	if err := os.WriteFile(input, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startDev(t, "--json", "-i", input, dir)
	next := func() devJSON {
		t.Helper()
		line, ok := p.line()
		var v devJSON
		if err := json.Unmarshal([]byte(line), &v); err != nil || !ok {
			t.Fatalf("%v: %s", err, line)
		}
		return v
	}
	v := next()
	if v.Run != 1 || v.Status != devCompleted || v.Output == nil || *v.Output != "ONE" || v.Build == nil || v.Build.Size == 0 || v.Same != nil ||
		v.Usage.Ticks == 0 || v.Reports == 0 || v.Function != "process" || v.Cases.Passed != 1 || v.Shown != 0 {
		t.Errorf("%+v", v)
	}
	edit(t, input, "one", "two")
	if v = next(); v.Run != 2 || v.Build != nil || *v.Output != "TWO" || *v.Same || v.Diff == "" || len(v.Changed) != 1 || v.Shown <= 0 {
		t.Errorf("%+v", v)
	}
	edit(t, filepath.Join(dir, "loud.c"), "// Upper-cases", "// It upper-cases")
	if v = next(); v.Run != 3 || v.Build == nil || !*v.Same || v.Diff != "" || v.Changed[0] != "loud.c" {
		t.Errorf("%+v", v)
	}
	edit(t, filepath.Join(dir, "loud.c"), "// It", "It")
	if v = next(); v.Status != devBuildFailed || v.Error == nil || v.Error.Code != "failed" || !strings.Contains(v.Build.Text, "error:") {
		t.Errorf("%+v", v)
	}
	edit(t, input, "two", "\xff")
	if v = next(); v.Status != devFailed || v.Error.Code != "invalid" || v.Output != nil {
		t.Errorf("%+v", v)
	}
	p.stop()
}

// TestDevTree: what is a change, and of what.
func TestDevTree(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(outside, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("main.c", "1")
	tree := newDevTree(root, outside, func(path string) bool { return filepath.Base(path) == "out.wasm" })
	if _, err := tree.look(); err != nil {
		t.Fatal(err)
	}
	tree.take()
	for _, step := range []struct {
		name  string
		do    func()
		files string // joined; empty: no change
		build bool
	}{
		{"nothing", func() {}, "", false},
		{"a source", func() { write("main.c", "22") }, "main.c", true},
		{"written again with the same content", func() { write("main.c", "22") }, "", false},
		{"what is built", func() {
			write("build/x.wasm", "1")
			write("target/x", "1")
			write("node_modules/a/b.js", "1")
			write("out.wasm", "1")
		}, "", false},
		{"hidden files", func() { write(".git/index", "1"); write(".main.c.swp", "1"); write("main.c~", "1") }, "", false},
		{"a new file in a new folder", func() { write("src/a.c", "1") }, "src/a.c", true},
		{"a case", func() { write("cases/a.in", "1") }, "cases/a.in", false},
		{"a case and a source", func() { write("cases/a.in", "22"); write("main.c", "333") }, "cases/a.in,main.c", true},
		{"a source that is gone", func() { os.RemoveAll(filepath.Join(root, "src")) }, "src/a.c", true},
	} {
		step.do()
		changed, err := tree.look()
		if err != nil {
			t.Fatal(err)
		}
		c := tree.take()
		if got := filepath.ToSlash(strings.Join(c.files, ",")); got != step.files || c.build != step.build || changed != (step.files != "") {
			t.Errorf("%s: %v %q %v", step.name, changed, got, c.build)
		}
	}
	if err := os.WriteFile(outside, []byte("22"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.look(); err != nil {
		t.Fatal(err)
	}
	if c := tree.take(); len(c.files) != 1 || c.build {
		t.Errorf("the sample: %v", c)
	}
}
