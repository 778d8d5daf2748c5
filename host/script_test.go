package host_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// linesInterpreter is the interpreter of testdata/lines, as a config gives it.
func linesInterpreter(t testing.TB) host.Interpreter {
	t.Helper()
	wasm := built(t, "lines", "lines.wasm")
	return host.Interpreter{Name: "lines", Extensions: []string{".lines", ".l"}, Load: func() (host.Source, error) { return host.Source{Wasm: wasm}, nil }}
}

func script(text string) host.Source { return host.Source{Script: []byte(text), File: "test.lines"} }

func swapScript(t testing.TB, h *host.Host, name, text, manifestText string) host.VersionInfo {
	t.Helper()
	src := script(text)
	if manifestText != "" {
		src.Manifest = manifest(t, manifestText)
	}
	v, err := h.Swap(t.Context(), name, src)
	if err != nil {
		t.Fatalf("Swap(%s): %v", name, err)
	}
	return v
}

// TestScripts calls the functions of scripts, and looks at what the host tells of them.
func TestScripts(t *testing.T) {
	loads := 0
	in := linesInterpreter(t)
	load := in.Load
	in.Load = func() (host.Source, error) { loads++; return load() }
	h := newHost(t, host.Config{Interpreters: []host.Interpreter{in}})
	if loads > 0 {
		t.Error("the interpreter is loaded before there is a script")
	}
	v := swapScript(t, h, "a", "# a script\nloud = upper\nabout = script\nkey = config word\n", `{"config": {"word": "yes"}}`)
	swapScript(t, h, "b", "process = count\nabout = script\n", "")
	for _, c := range []struct{ step, input, want string }{
		{"a:loud", "quiet", "QUIET"}, {"a:about", "", "test.lines 4"}, {"a:key", "", "yes"}, {"b", "", "0"}, {"b:about", "", "test.lines 2"},
		{"b", "", "0"}, // each call finds the script as it was loaded
	} {
		if got := run(t, h, c.step, c.input); got != c.want {
			t.Errorf("%s gives %q, want %q", c.step, got, c.want)
		}
	}
	if loads != 1 {
		t.Errorf("the interpreter was loaded %d times", loads)
	}
	if n := info(t, h, "a").Instances; n != 1 {
		t.Errorf("%d instances served the calls", n)
	}
	i := info(t, h, "a")
	var names []string
	for _, f := range i.Functions {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"about", "key", "loud"}) || i.Default != "" || i.Form != host.FormScript || i.Digest != v.Digest || len(i.Imports) > 0 ||
		!strings.HasPrefix(i.Toolchain, "lines, version ") || i.Size != int64(len("# a script\nloud = upper\nabout = script\nkey = config word\n")) ||
		i.Sandbox != "instances are put back after each call" || len(i.Hints) > 0 {
		t.Errorf("the host tells %+v", i)
	}
	fails(t, h, "a", "", abi.CodeInvalid)
	fails(t, h, "a:lod", "", abi.CodeNotFound)

	// What is described is all that can be called.
	swapScript(t, h, "c", "process = upper\nhidden = script\n", `{"taskhost": {"functions": {"process": {"description": "says it loudly"}}}}`)
	fails(t, h, "c:hidden", "", abi.CodeNotFound)
	if f := info(t, h, "c").Functions; len(f) != 1 || f[0].Description != "says it loudly" {
		t.Errorf("the functions are %+v", f)
	}
}

// TestScriptIsolation checks what calls of a script can see of those before.
func TestScriptIsolation(t *testing.T) {
	h := newHost(t, host.Config{Interpreters: []host.Interpreter{linesInterpreter(t)}})
	for _, c := range []struct{ isolation, want string }{{"pristine", "000"}, {"fresh", "000"}, {"reuse", "012"}} {
		swapScript(t, h, c.isolation, "process = count\n", fmt.Sprintf(`{"taskhost": {"isolation": %q}}`, c.isolation))
		got := ""
		for range 3 {
			got += run(t, h, c.isolation, "")
		}
		if got != c.want {
			t.Errorf("with the isolation %s three calls give %s, want %s", c.isolation, got, c.want)
		}
	}
	swapScript(t, h, "draws", "random\nprocess = count\n", "")
	wantHint(t, h, "draws", "random bytes while it started")
	// A script that fails leaves the instance for the next call.
	swapScript(t, h, "mixed", "count = count\nfail = fail\ntrap = trap\nspin = spin\n", `{"timeout_ms": 20}`)
	for range 2 {
		fails(t, h, "mixed:fail", "", abi.CodeFailed)
		fails(t, h, "mixed:trap", "", abi.CodeTrap)
		fails(t, h, "mixed:spin", "", abi.CodeTimeout)
		if got := run(t, h, "mixed:count", ""); got != "0" {
			t.Errorf("after calls that failed, %s calls were before", got)
		}
	}
}

// TestScriptErrors checks what is said of a script that fails: the place in the script, and nothing of the interpreter's own stack.
func TestScriptErrors(t *testing.T) {
	h := newHost(t, host.Config{Interpreters: []host.Interpreter{linesInterpreter(t)}})
	swapScript(t, h, "p", "\nfail = fail\nbad = bad\ntrap = trap\nkey = config missing\n", "")
	e := fails(t, h, "p:fail", "some input", abi.CodeFailed)
	if e.Message != "it fails" || e.Exit != 1 || e.Detail != "test.lines:2\ninput (10 bytes): \"some input\"" {
		t.Errorf("the error is %+v", e)
	}
	if e = fails(t, h, "p:bad", "", abi.CodeInvalid); e.Message != "it is bad" || e.Detail != "" {
		t.Errorf("the error is %+v", e)
	}
	if e = fails(t, h, "p:key", "", abi.CodeFailed); e.Detail != "test.lines:5" {
		t.Errorf("the error is %+v", e)
	}
	if e = fails(t, h, "p:trap", "", abi.CodeTrap); e.Detail != "" {
		t.Errorf("the error's detail is %q", e.Detail)
	}
}

// TestScriptsRefused checks what becomes of scripts that cannot be loaded: the version before stays.
func TestScriptsRefused(t *testing.T) {
	h := newHost(t, host.Config{Interpreters: []host.Interpreter{linesInterpreter(t)}, Limits: abi.Limits{Module: 64 << 10}})
	good := swapScript(t, h, "p", "process = upper\n", "")
	for _, c := range []struct {
		name string
		src  host.Source
		code abi.Code
		want string
	}{
		{"syntax", script("process = upper\nnonsense\n"), abi.CodeRefused, "while it starts: this is no line"},
		{"no function", script("# nothing\n"), abi.CodeRefused, "it exports no function that can be called"},
		{"twice", script("double\n"), abi.CodeRefused, "lists the function one twice"},
		{"a name with a control character", script("a\x01 = upper\n"), abi.CodeRefused, "cannot name a function"},
		{"a long name", script(strings.Repeat("n", abi.MaxName+1) + " = upper\n"), abi.CodeRefused, "cannot name a function"},
		{"trap", script("trap\n"), abi.CodeTrap, "while it starts"},
		{"endless", host.Source{Script: []byte("spin\n"), File: "a.l", Manifest: manifest(t, `{"timeout_ms": 20}`)}, abi.CodeTimeout, "while it starts"},
		{"too large", script(strings.Repeat("#", 64<<10+1)), abi.CodeModuleLimit, "more than the limit"},
		{"an unknown language", host.Source{Script: []byte("x"), File: "a.lua"}, abi.CodeRefused, "nothing here runs .lua files; there is an interpreter for: .l, .lines"},
		{"a folder", host.Source{Script: []byte("x"), File: "x/a.l"}, abi.CodeInvalid, "no folder"},
		{"no extension", host.Source{Script: []byte("x"), File: "a"}, abi.CodeInvalid, "with an extension"},
		{"a module beside it", host.Source{Script: []byte("x"), File: "a.l", Wasm: []byte("x")}, abi.CodeInvalid, "a plugin is one or the other"},
		{"interprets", host.Source{Script: []byte("x"), File: "a.l", Manifest: manifest(t, `{"taskhost": {"interprets": [".l"]}}`)}, abi.CodeInvalid, "a script cannot be an interpreter"},
		{"a function that is not there", host.Source{Script: []byte("a = upper"), File: "a.l", Manifest: manifest(t, `{"taskhost": {"functions": {"b": {}}}}`)},
			abi.CodeRefused, `describes "b", which it does not have; it has a`},
		{"too little memory", host.Source{Script: []byte("a = upper"), File: "a.l", Manifest: manifest(t, `{"memory": {"max_pages": 1}}`)}, abi.CodeMemoryLimit, "to start"},
	} {
		_, err := h.Swap(t.Context(), "p", c.src)
		if wantCode(t, err, c.code, c.want); err != nil && c.name == "syntax" && abi.AsError(err).Detail != "test.lines:2" {
			t.Errorf("%s: the detail is %q", c.name, abi.AsError(err).Detail)
		}
		if i := info(t, h, "p"); i.Digest != good.Digest || run(t, h, "p", "a") != "A" {
			t.Errorf("%s: the version before is no longer current", c.name)
		}
	}
}

// TestInterpreterMissing checks that an interpreter that cannot be loaded is tried again with the next script.
func TestInterpreterMissing(t *testing.T) {
	in := linesInterpreter(t)
	load, there := in.Load, false
	in.Load = func() (host.Source, error) {
		if !there {
			return host.Source{}, errors.New("it is not on this disk")
		}
		return load()
	}
	h := newHost(t, host.Config{Interpreters: []host.Interpreter{in}})
	_, err := h.Swap(t.Context(), "p", script("process = upper\n"))
	wantCode(t, err, abi.CodeInternal, "its interpreter lines: it is not on this disk")
	there = true
	swapScript(t, h, "p", "process = upper\n", "")
	for _, c := range []struct {
		in   host.Interpreter
		want string
	}{
		{host.Interpreter{Extensions: []string{".x"}, Load: load}, "a name and Load"},
		{host.Interpreter{Name: "x", Extensions: []string{".x"}}, "a name and Load"},
		{host.Interpreter{Name: "x", Extensions: []string{"x"}, Load: load}, `"x" is not the ending`},
		{host.Interpreter{Name: "x", Extensions: []string{".X"}, Load: load}, "small letters"},
		{host.Interpreter{Name: "x", Extensions: []string{".a.b"}, Load: load}, "is not the ending"},
		{host.Interpreter{Name: "x", Extensions: []string{".wasm"}, Load: load}, "what modules and manifests have"},
		{host.Interpreter{Name: "x", Extensions: slices.Repeat([]string{".x"}, 21), Load: load}, "at most 20"},
	} {
		_, err := host.New(t.Context(), host.Config{CacheDir: "off", Interpreters: []host.Interpreter{c.in}})
		wantCode(t, err, abi.CodeInvalid, c.want)
	}
}

// TestScriptsInFolder follows scripts and their interpreter, which is a plugin itself, through a folder.
func TestScriptsInFolder(t *testing.T) {
	dir := t.TempDir()
	wasm := built(t, "lines", "lines.wasm")
	write(t, filepath.Join(dir, "a.lines"), []byte("process = upper\n"))
	write(t, filepath.Join(dir, "z.wasm"), wasm)
	write(t, filepath.Join(dir, "z.json"), []byte(`{"taskhost": {"interprets": [".lines"]}}`))
	write(t, filepath.Join(dir, "notes.txt"), []byte("no plugin"))
	h, events := watching(t, dir, host.Config{})
	if got := run(t, h, "a", "at once"); got != "AT ONCE" {
		t.Errorf("it gives %q", got)
	}
	i := info(t, h, "z")
	if i.Form != host.FormInterpreter || len(i.Functions) > 0 || i.State != host.StateReady || i.Instances != 0 {
		t.Errorf("of the interpreter the host tells %+v", i)
	}
	if e := fails(t, h, "z", "", abi.CodeInvalid); !strings.Contains(e.Message, "it runs the plugins whose files end in .lines") {
		t.Errorf("the error is %v", e)
	}
	if got := h.ScriptExtensions(); !slices.Equal(got, []string{".lines"}) {
		t.Errorf("the extensions are %v", got)
	}

	// Who wants the script alone gets its interpreter, and nothing else.
	write(t, filepath.Join(dir, "c.wasm"), speaking(t, "ccc"))
	write(t, filepath.Join(dir, "d.lines"), []byte("process = config word\n"))
	write(t, filepath.Join(dir, "d.json"), []byte(`{"config": {"word": "from a manifest"}}`))
	for _, c := range []struct{ name, want string }{{"a", "ALONE"}, {"d", "from a manifest"}} {
		chosen := newHost(t, host.Config{Dir: dir, Only: []string{c.name}, WatchInterval: -1})
		if got := run(t, chosen, c.name, "alone"); got != c.want || len(chosen.Plugins()) != 2 {
			t.Errorf("alone %s gives %q, among %d plugins", c.name, got, len(chosen.Plugins()))
		}
	}
	if got := run(t, newHost(t, host.Config{Dir: dir, WatchInterval: -1}), "d", ""); got != "from a manifest" {
		t.Errorf("among all it gives %q", got)
	}
	if n := len(newHost(t, host.Config{Dir: dir, Only: []string{"c"}}).Plugins()); n != 1 {
		t.Errorf("%d plugins are loaded where one is wanted", n)
	}
	for _, file := range []string{"c.wasm", "d.lines", "d.json"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "they are gone again", func() bool { return len(h.Plugins()) == 2 })

	// Another host can have what runs them.
	other := newHost(t, host.Config{Interpreters: h.Interpreters()})
	swapScript(t, other, "b", "process = upper\n", "")
	if got := run(t, other, "b", "elsewhere"); got != "ELSEWHERE" {
		t.Errorf("on another host it gives %q", got)
	}

	// A script is swapped as a module is.
	write(t, filepath.Join(dir, "a.lines"), []byte("process = script\n"))
	loads := len(events.all(host.EventLoad))
	events.nth(t, host.EventLoad, loads+1)
	if got := run(t, h, "a", ""); got != "a.lines 1" {
		t.Errorf("after the change it gives %q", got)
	}
	if _, err := h.Rollback(t.Context(), "a"); err != nil || run(t, h, "a", "x") != "X" {
		t.Errorf("after the rollback it gives %q: %v", run(t, h, "a", "x"), err)
	}

	// Another version of the interpreter takes its scripts over.
	before := info(t, h, "a").Toolchain
	write(t, filepath.Join(dir, "z.json"), []byte(`{"taskhost": {"interprets": [".lines"], "description": "Lines, the second"}}`))
	events.nth(t, host.EventLoad, loads+3)
	if after := info(t, h, "a").Toolchain; after == before || !strings.HasPrefix(after, "Lines, the second, version ") {
		t.Errorf("with another interpreter it is of %q, before it was of %q", after, before)
	}
	if got := run(t, h, "a", ""); got != "a.lines 1" {
		t.Errorf("with another interpreter it gives %q", got)
	}

	// Two files cannot be one plugin.
	write(t, filepath.Join(dir, "a.wasm"), speaking(t, "aaa"))
	eventually(t, "a refusal", func() bool {
		return strings.Contains(info(t, h, "a").Error, "a.wasm and a.lines cannot both be the plugin a")
	})
	if err := os.Remove(filepath.Join(dir, "a.wasm")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plugin is ready again", func() bool { return info(t, h, "a").State == host.StateReady })

	// Without its interpreter a script is no plugin, and what runs goes on.
	if err := os.Remove(filepath.Join(dir, "z.wasm")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "z.json")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script is gone", func() bool { return len(h.Plugins()) == 0 })
	fails(t, h, "a", "", abi.CodeNotFound)
	write(t, filepath.Join(dir, "z.json"), []byte(`{"taskhost": {"interprets": [".lines"]}}`))
	write(t, filepath.Join(dir, "z.wasm"), wasm)
	eventually(t, "the script is back", func() bool { return len(h.Plugins()) == 2 && info(t, h, "a").State == host.StateReady })
	if got := run(t, h, "a", ""); got != "a.lines 1" {
		t.Errorf("when it is back it gives %q", got)
	}
}

// TestInterpretersRefused checks what is said of modules that are no interpreters.
func TestInterpretersRefused(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, c := range []struct{ manifest, want string }{
		{`{"taskhost": {"interprets": [".x"]}}`, "it does not export taskhost_script_load with the signature (i32) -> (i32)"},
		{`{"taskhost": {"interprets": ["x"]}}`, `taskhost.interprets: "x" is not the ending`},
	} {
		m, err := host.ParseManifest("p.json", []byte(c.manifest))
		if err == nil {
			_, err = h.Swap(t.Context(), "p", host.Source{Wasm: guest(t, "output"), Manifest: m})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q", c.manifest, err, c.want)
		}
	}
	fails(t, h, "p", "", abi.CodeNotFound)
}

// TestScriptsShareInterpreter has many scripts and calls at once, while their interpreter is swapped.
func TestScriptsShareInterpreter(t *testing.T) {
	wasm := built(t, "lines", "lines.wasm")
	h := newHost(t, host.Config{})
	swapInterpreter := func(n int) {
		m := manifest(t, fmt.Sprintf(`{"taskhost": {"interprets": [".lines"], "description": "number %d"}}`, n))
		if _, err := h.Swap(t.Context(), "in", host.Source{Wasm: wasm, Manifest: m}); err != nil {
			t.Error(err)
		}
	}
	swapInterpreter(0)
	var group sync.WaitGroup
	var stop atomic.Bool
	for n := range 4 {
		name := fmt.Sprintf("s%d", n)
		swapScript(t, h, name, fmt.Sprintf("# %d\nprocess = upper\n", n), "")
		group.Go(func() {
			for !stop.Load() {
				if res, err := h.Run(t.Context(), abi.Call{Plugin: name, Input: []byte("a")}, nil); err != nil || string(res.Output) != "A" {
					t.Errorf("%s gives %q: %v", name, res.Output, err)
					return
				}
			}
		})
		group.Go(func() {
			for k := 0; !stop.Load(); k++ {
				if _, err := h.Swap(t.Context(), name, script(fmt.Sprintf("# %d %d\nprocess = upper\n", n, k))); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	for n := range 10 {
		swapInterpreter(n + 1)
	}
	stop.Store(true)
	group.Wait()
	if i := info(t, h, "in"); i.Description != "number 10" {
		t.Errorf("the interpreter is %+v", i)
	}
}
