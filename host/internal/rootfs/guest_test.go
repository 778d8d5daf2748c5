package rootfs_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	wasys "github.com/tetratelabs/wazero/sys"

	"github.com/taskhost/taskhost/host/internal/rootfs"
)

// guest is the compiled program of testdata/guest.
type guest struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

func buildGuest(t *testing.T) *guest {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-o", file, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { r.Close(t.Context()) })
	wasi_snapshot_preview1.MustInstantiate(t.Context(), r)
	m, err := r.CompileModule(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{runtime: r, module: m}
}

// run runs the program with the folder as /d. Arguments are separated by "|", calls by "|--|"; it returns the answer to each call.
func (g *guest) run(t *testing.T, fs *rootfs.FS, calls string) []string {
	t.Helper()
	var out bytes.Buffer
	config := wazero.NewModuleConfig().WithName("").WithArgs(strings.Split("guest|"+calls, "|")...).WithStdout(&out).WithStderr(&out).
		WithSysNanosleep().WithSysNanotime().WithSysWalltime().
		WithFSConfig(wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(fs, "/d"))
	m, err := g.runtime.InstantiateModule(t.Context(), g.module, config)
	if m != nil {
		m.Close(t.Context())
	}
	if exit, ok := err.(*wasys.ExitError); err != nil && (!ok || exit.ExitCode() != 0) { //nolint:errorlint // wazero returns it bare
		t.Fatalf("%v: %v\n%s", calls, err, &out)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\x1e"), "\x1e")
}

func open(t testing.TB, dir string, readOnly bool) *rootfs.FS {
	t.Helper()
	f, err := rootfs.Open(dir, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// step is one call of the guest. A want that ends in "..." is a beginning.
type step struct {
	args string
	want string
}

func (g *guest) check(t *testing.T, fs *rootfs.FS, steps []step) {
	t.Helper()
	var calls []string
	for _, s := range steps {
		calls = append(calls, s.args)
	}
	answers := g.run(t, fs, strings.Join(calls, "|--|"))
	if len(answers) != len(steps) {
		t.Fatalf("%d answers to %d calls: %q", len(answers), len(steps), answers)
	}
	for i, s := range steps {
		got := answers[i]
		if want, ok := strings.CutSuffix(s.want, "..."); got != s.want && !(ok && strings.HasPrefix(got, want)) {
			t.Errorf("%s: %q, want %q", s.args, got, s.want)
		}
	}
}

func TestGuest(t *testing.T) {
	g := buildGuest(t)

	t.Run("reads and writes", func(t *testing.T) {
		dir := t.TempDir()
		g.check(t, open(t, dir, false), []step{
			{"write|/d/a|hello", ""},
			{"read|/d/a", "hello"},
			{"append|/d/a| there", ""},
			{"append|/d/new|one", ""},
			{"read|/d/a", "hello there"},
			{"read|/d/new", "one"},
			{"patch|/d/a|XY", "XY e"},
			{"read|/d/a", "heXYo there"},
			{"truncate|/d/a", ""},
			{"read|/d/a", "heX"},
			{"write|/d/a|longer than before", ""},
			{"write|/d/a|short", ""},
			{"read|/d/a", "short"},
			{"create|/d/a", "error: open /d/a: File exists\n"},
			{"create|/d/b", ""},
			{"read|/d/none", "error: open /d/none: No such file or directory\n"},
			{"read|/d/a/x", "error: open /d/a/x: Not a directory\n"},
			{"read|/d", "error: read /d: Is a directory\n"},
			{"write|/d|x", "error: open /d: Is a directory\n"},
			{"times|/d/a", ""},
			{"stat|/d/a", "---------- 5 2000"},
			{"read|/e/a", "error: open /e/a: Bad file number\n"},
		})
		if b, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(b) != "short" {
			t.Errorf("the host sees %q, %v", b, err)
		}
	})

	t.Run("folders", func(t *testing.T) {
		dir := t.TempDir()
		for i := range 300 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("a-rather-long-name-%03d", i)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		fs := open(t, dir, false)
		g.check(t, fs, []step{{"lsagain|/d", "300"}})
		g.check(t, open(t, t.TempDir(), false), []step{
			{"ls|/d", ""},
			{"mkdir|/d/x", ""},
			{"mkdir|/d/x", "error: mkdir /d/x: File exists\n"},
			{"mkdir|/d/y/z", "error: mkdir /d/y/z: No such file or directory\n"},
			{"mkdirall|/d/y/z/w", ""},
			{"write|/d/y/f|", ""},
			{"ls|/d", "x/ y/"},
			{"ls|/d/y", "f z/"},
			{"ls|/d/y/f", "error: open /d/y/f: Not a directory\n"},
			{"remove|/d/y", "error: remove /d/y: Directory not empty\n"},
			{"remove|/d/x", ""},
			{"rename|/d/y|/d/moved", ""},
			{"ls|/d/moved", "f z/"},
			{"rename|/d/moved/f|/d/moved/z/g", ""},
			{"ls|/d/moved/z", "g w/"},
			{"rename|/d/none|/d/x", "error: rename /d/none /d/x: No such file or directory\n"},
			{"rename|/d/moved|/d/moved/z/inside", "error: rename /d/moved /d/moved/z/inside: Invalid argument\n"},
			{"removeall|/d/moved", ""},
			{"ls|/d", ""},
		})
	})

	t.Run("links", func(t *testing.T) {
		g.check(t, open(t, t.TempDir(), false), []step{
			{"write|/d/f|content", ""},
			{"link|/d/f|/d/hard", ""},
			{"read|/d/hard", "content"},
			{"mkdir|/d/sub", ""},
			{"symlink|../f|/d/sub/soft", ""},
			{"readlink|/d/sub/soft", "../f"},
			{"read|/d/sub/soft", "content"},
			{"lstat|/d/sub/soft", "L--------- 4 ..."},
			{"stat|/d/sub/soft", "---------- 7 ..."},
			{"symlink|sub|/d/subsoft", ""},
			{"read|/d/subsoft/soft", "content"},
			{"remove|/d/subsoft", ""},
			{"ls|/d/sub", "soft"},
		})
	})

	t.Run("stays inside", func(t *testing.T) {
		base := t.TempDir()
		for _, d := range []string{"in/sub", "out"} {
			if err := os.MkdirAll(filepath.Join(base, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(base, "out", "secret"), []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
		for name, target := range map[string]string{
			"relative": "../out/secret", "absolute": filepath.Join(base, "out", "secret"), "dir": "../out", "absdir": filepath.Join(base, "out"),
			"chain1": "chain2", "chain2": "sub/chain3", "sub/chain3": "../../out/secret", "loop": "loop", "root": "/", "up": "..", "proc": "/proc/self/root",
		} {
			if err := os.Symlink(target, filepath.Join(base, "in", name)); err != nil {
				t.Fatal(err)
			}
		}
		before := snapshot(t, filepath.Join(base, "out"))
		fs := open(t, filepath.Join(base, "in"), false)
		for _, path := range []string{
			"../out/secret", "sub/../../out/secret", "/../out/secret", "relative", "absolute", "dir/secret", "absdir/secret", "chain1", "chain2",
			"sub/chain3", "up/out/secret", "root" + base + "/out/secret", "proc" + base + "/out/secret", "sub/./../up/out/secret",
		} {
			const ops = "read|%|--|write|%|x|--|append|%|x|--|create|%|--|truncate|%|--|stat|%|--|times|%|--|ls|%|--|mkdir|%/new|--|symlink|x|%/new|--|" +
				"rename|/d/sub|%|--|rename|%/x|/d/y|--|link|%/x|/d/y|--|removeall|%/x"
			for i, got := range g.run(t, fs, strings.ReplaceAll(ops, "%", "/d/"+path)) {
				if !strings.HasPrefix(got, "error: ") {
					t.Errorf("%s, call %d: %q", path, i+1, got)
				}
			}
			if err := os.MkdirAll(filepath.Join(base, "in", "sub"), 0o755); err != nil { // it may have been moved
				t.Fatal(err)
			}
		}
		g.check(t, fs, []step{{"read|/d/loop", "error: open /d/loop: ..."}, {"symlink|/etc/passwd|/d/made", "error: symlink /etc/passwd /d/made: ..."}})
		if after := snapshot(t, filepath.Join(base, "out")); after != before {
			t.Errorf("the outside changed:\n%s\nbefore:\n%s", after, before)
		}
	})

	t.Run("read-only", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
		before := snapshot(t, dir)
		const refused = "Read-only file system\n"
		g.check(t, open(t, dir, true), []step{
			{"read|/d/f", "content"},
			{"ls|/d", "f sub/"},
			{"stat|/d/sub", "d--------- ..."},
			{"write|/d/f|x", "error: open /d/f: " + refused},
			{"append|/d/f|x", "error: open /d/f: " + refused},
			{"create|/d/new", "error: open /d/new: " + refused},
			{"truncate|/d/f", "error: open /d/f: " + refused},
			{"times|/d/f", "error: chtimes /d/f: " + refused},
			{"mkdir|/d/new", "error: mkdir /d/new: " + refused},
			{"remove|/d/f", "error: remove /d/f: " + refused},
			{"remove|/d/sub", "error: remove /d/sub: " + refused},
			{"rename|/d/f|/d/g", "error: rename /d/f /d/g: " + refused},
			{"link|/d/f|/d/g", "error: link /d/f /d/g: " + refused},
			{"symlink|f|/d/g", "error: symlink f /d/g: " + refused},
		})
		if after := snapshot(t, dir); after != before {
			t.Errorf("it changed:\n%s\nbefore:\n%s", after, before)
		}
	})
}

// snapshot describes everything in a folder that a guest could change.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v %v", strings.TrimPrefix(path, dir), info.Mode(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", content)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
