package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// swapCommand makes a WASI command of build/testdata the plugin with its name.
func swapCommand(t testing.TB, h *host.Host, name, manifestText string) {
	t.Helper()
	swapTo(t, h, name, built(t, name+".wasm"), manifestText)
}

// TestCommand checks that a program that knows nothing of taskhost is a filter: stdin, stdout, stderr, exit code, traps.
func TestCommand(t *testing.T) {
	logs := &logBook{}
	h := newHost(t, host.Config{Logger: slogTo(logs)})
	swapCommand(t, h, "filter-c", "")
	for _, in := range []string{"", "Hello\n", "no end", strings.Repeat("line after line\n", 20_000)} {
		if got := run(t, h, "filter-c", in); len(got) != len(in) || strings.EqualFold(got, in) && in != "" {
			t.Errorf("%.20q (%d bytes) gives %.20q (%d bytes)", in, len(in), got, len(got))
		}
	}
	if got := run(t, h, "filter-c:_start", "Hello"); got != "Uryyb" {
		t.Errorf("the filter gives %q", got)
	}
	i := info(t, h, "filter-c")
	if i.Form != host.FormWASI || i.Default != "_start" || len(i.Functions) != 1 || i.Sandbox == "" {
		t.Errorf("Inspect says %+v", i)
	}
	for range 2 {
		e := fails(t, h, "filter-c", "#fail 7\nx", abi.CodeFailed)
		if e.Exit != 7 || !strings.Contains(e.Message, "code 7") || !strings.Contains(e.Message, "failed as asked") {
			t.Errorf("exit code %d: %v", e.Exit, e)
		}
		e = fails(t, h, "filter-c", "#trap\n", abi.CodeTrap)
		wantCode(t, e, abi.CodeTrap, "unreachable")
		if got := run(t, h, "filter-c", "Hello"); got != "Uryyb" {
			t.Errorf("the next call gives %q", got)
		}
	}
	if got := logs.messages("plugin", "filter-c"); !slices.Equal(got, []string{"INFO failed as asked", "INFO failed as asked"}) {
		t.Errorf("the log says %q", got)
	}
}

// TestCommandGetsOnlyItsGrants checks that there are no arguments, no environment and no files but those of the manifest, and that
// clock and randomness are there.
func TestCommandGetsOnlyItsGrants(t *testing.T) {
	t.Setenv("TASKHOST_TEST_SECRET", "secret")
	h := newHost(t, host.Config{})
	swapCommand(t, h, "files-c", "")
	if got := run(t, h, "files-c", "args\nenv\ntime\nrandom\n"); got != "files-c\nok\nok\n" {
		t.Errorf("without a manifest it sees %q", got)
	}
	script := ""
	for _, path := range []string{".", "/", "/etc/passwd", "../x", "/proc/self/environ"} {
		script += "read " + path + "\nlist " + path + "\nwrite " + path + " x\nmkdir " + path + "\n"
	}
	for n, line := range strings.Split(strings.TrimSpace(run(t, h, "files-c", script)), "\n") {
		if !strings.HasPrefix(line, "error: ") {
			t.Errorf("%s gives %q", strings.Split(script, "\n")[n], line)
		}
	}
	swapCommand(t, h, "files-c", `{"taskhost": {"args": ["one", "two words"], "env": {"A": "1", "B": ""}}}`)
	if got := run(t, h, "files-c", "args\nenv\n"); got != "files-c\none\ntwo words\nA=1\nB=\n" {
		t.Errorf("with a manifest it sees %q", got)
	}
	swapCommand(t, h, "filter-c", `{"taskhost": {"args": ["--upper"]}}`)
	if got := run(t, h, "filter-c", "Hello"); got != "URYYB" {
		t.Errorf("the filter gives %q", got)
	}
	swapCommand(t, h, "filter-c", `{"taskhost": {"args": ["--nonsense"]}}`)
	e := fails(t, h, "filter-c", "", abi.CodeFailed)
	if wantCode(t, e, abi.CodeFailed, "usage: filter"); e.Exit != 2 {
		t.Errorf("the exit code is %d", e.Exit)
	}
}

// TestGrantedFolders checks folders that the manifest grants, to read and to write, and where a relative path begins.
func TestGrantedFolders(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"in/below", "out"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(base, "in", "a.txt"), []byte("content of a\n"))
	write(t, filepath.Join(base, "files-c.wasm"), built(t, "files-c.wasm"))
	write(t, filepath.Join(base, "files-c.json"), []byte(`{"allowed_paths": {"ro:in": "/in", "out": "/out"}}`))
	h := newHost(t, host.Config{Dir: base, WatchInterval: -1})
	do := func(line, want string) {
		t.Helper()
		if got := strings.TrimSuffix(run(t, h, "files-c", line+"\n"), "\n"); got != want && !(want == "error" && strings.HasPrefix(got, "error: ")) {
			t.Errorf("%s gives %q, want %q", line, got, want)
		}
	}
	do("read /in/a.txt", "content of a")
	names := strings.Fields(run(t, h, "files-c", "list /in\n"))
	if slices.Sort(names); !slices.Equal(names, []string{"a.txt", "below"}) {
		t.Errorf("the folder has %q", names)
	}
	do("read /in/below/../a.txt", "content of a")
	for _, line := range []string{
		"write /in/a.txt changed", "write /in/new x", "mkdir /in/new", "remove /in/a.txt", "rename /in/a.txt /in/b.txt",
		"rename /in/a.txt /out/a.txt", "link a.txt /in/link", "read /in/missing", "read /out/missing", "read /elsewhere", "write /top x",
	} {
		do(line, "error")
	}
	do("write /out/b.txt text of b", "ok")
	do("read /out/b.txt", "text of b")
	do("mkdir /out/dir", "ok")
	do("rename /out/b.txt /out/dir/c.txt", "ok")
	do("list /out", "dir")
	if got := read(t, base, "out", "dir", "c.txt"); string(got) != "text of b" {
		t.Errorf("the file on the host is %q", got)
	}
	do("remove /out/dir/c.txt", "ok")
	if got := read(t, base, "in", "a.txt"); string(got) != "content of a\n" {
		t.Errorf("the file that was granted to read became %q", got)
	}
	if i := info(t, h, "files-c"); i.AllowedPaths["ro:in"] != "/in" || i.AllowedPaths["out"] != "/out" {
		t.Errorf("Inspect says %v", i.AllowedPaths)
	}
}

// TestGrantedFoldersCannotBeLeft checks that neither .. nor symbolic links lead out of a granted folder, whoever made them.
func TestGrantedFoldersCannotBeLeft(t *testing.T) {
	base := t.TempDir()
	granted, outside := filepath.Join(base, "granted"), filepath.Join(base, "outside")
	for _, dir := range []string{granted, outside, filepath.Join(granted, "sub")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(outside, "secret")
	write(t, secret, []byte("SECRET"))
	write(t, filepath.Join(granted, "fine"), []byte("fine\n"))
	for name, target := range map[string]string{
		"absolute": secret, "relative": "../outside/secret", "dir": outside, "dirup": "..", "sub/deep": "../../outside/secret",
		"chain": "absolute", "inside": "fine", "sub/inside": "../fine",
	} {
		if err := os.Symlink(target, filepath.Join(granted, name)); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, host.Config{})
	for _, readOnly := range []string{"", "ro:"} {
		swapCommand(t, h, "files-c", fmt.Sprintf(`{"allowed_paths": {%q: "/data"}}`, readOnly+granted))
		for _, path := range []string{
			"/data/../outside/secret", "/data/sub/../../outside/secret", "/data/../../../../../../etc/passwd", "/data/absolute",
			"/data/relative", "/data/dir/secret", "/data/dirup/outside/secret", "/data/sub/deep", "/data/chain", secret, "/outside/secret",
		} {
			got := run(t, h, "files-c", "read "+path+"\nwrite "+path+" broken\nremove "+path+"/x\nrename /data/fine "+path+"/x\nlist "+path+"\n")
			for line := range strings.SplitSeq(strings.TrimSpace(got), "\n") {
				if !strings.HasPrefix(line, "error: ") {
					t.Errorf("%s%s: %q", readOnly, path, got)
					break
				}
			}
		}
		for _, path := range []string{"/data/inside", "/data/sub/inside", "/data/sub/../fine"} {
			if got := run(t, h, "files-c", "read "+path+"\n"); got != "fine\n" {
				t.Errorf("%s%s, which stays inside, gives %q", readOnly, path, got)
			}
		}
	}
	// Links that the guest makes itself.
	swapCommand(t, h, "files-c", fmt.Sprintf(`{"allowed_paths": {%q: "/data"}}`, granted))
	for n, target := range []string{secret, "../outside/secret", "../outside", "/"} {
		name := fmt.Sprintf("/data/made%d", n)
		got := run(t, h, "files-c", fmt.Sprintf("link %s %s\nread %s\nread %s/secret\nlist %s\n", target, name, name, name, name))
		if strings.Contains(strings.ToUpper(got), "SECRET") {
			t.Errorf("through a link to %s of its own it reads %q", target, got)
		}
	}
	if got := read(t, secret); string(got) != "SECRET" {
		t.Errorf("the file outside became %q", got)
	}
	if names, err := os.ReadDir(outside); err != nil || len(names) != 1 {
		t.Errorf("outside there are %v: %v", names, err)
	}
}

// TestCommandLimits checks the limits of output and log for commands.
func TestCommandLimits(t *testing.T) {
	logs := &logBook{}
	h := newHost(t, host.Config{Logger: slogTo(logs), Limits: abi.Limits{Output: 10_000, Log: 5000}})
	swapCommand(t, h, "filter-c", "")
	if got := run(t, h, "filter-c", strings.Repeat("x", 10_000)); len(got) != 10_000 {
		t.Errorf("%d bytes of output", len(got))
	}
	e := fails(t, h, "filter-c", strings.Repeat("x", 10_001), abi.CodeOutputLimit)
	wantCode(t, e, abi.CodeOutputLimit, "10000", "max_output_bytes")
	swapCommand(t, h, "files-c", "")
	run(t, h, "files-c", strings.Repeat("x\n", 50)) // each line goes to the log
	e = fails(t, h, "files-c", strings.Repeat("x\n", 500), abi.CodeLogLimit)
	wantCode(t, e, abi.CodeLogLimit, "5000", "max_log_bytes")
	run(t, h, "files-c", strings.Repeat("x\n", 50))
	n := len(logs.messages("plugin", "files-c"))
	if n < 100 || n > 250 {
		t.Errorf("%d lines were logged", n)
	}
	if got := run(t, h, "filter-c", "Hello"); got != "Uryyb" {
		t.Errorf("the next call gives %q", got)
	}
}

// TestCommandsAtOnce checks that commands that run at the same time have streams of their own.
func TestCommandsAtOnce(t *testing.T) {
	h := newHost(t, host.Config{MaxInstances: 4})
	swapCommand(t, h, "filter-c", "")
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for r := range 20 {
				in := strings.Repeat(fmt.Sprintf("%d %d\n", n, r), 100*n)
				res, err := h.Run(t.Context(), abi.Call{Plugin: "filter-c", Input: []byte(in)}, nil)
				if err != nil || string(res.Output) != in { // digits stay digits
					t.Errorf("%d bytes give %d others: %v", len(in), len(res.Output), err)
				}
			}
		})
	}
	group.Wait()
}
