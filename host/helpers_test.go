package host_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// patience bounds every wait of these tests. It is long, so that only what never happens runs into it.
const patience = time.Minute

// built reads a file that `make plugins` builds into build/testdata.
func built(t testing.TB, path ...string) []byte {
	t.Helper()
	file := filepath.Join(append([]string{testdata(t)}, path...)...)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is missing: run make plugins", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// guest is one of testdata/guests or testdata/hostile by its name, broken one of testdata/guests/broken or testdata/hostile/load. No name
// is in two of them.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	return built(t, whichHas(t, name+".wasm", "guests", "hostile"), name+".wasm")
}

func broken(t testing.TB, name string) []byte {
	t.Helper()
	return built(t, whichHas(t, name+".wasm", "broken", filepath.Join("hostile", "load")), name+".wasm")
}

// whichHas is the first of the folders that has the file, or the last.
func whichHas(t testing.TB, file string, dirs ...string) string {
	t.Helper()
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(testdata(t), dir, file)); err == nil {
			return dir
		}
	}
	return dirs[len(dirs)-1]
}

// manifest decodes a manifest.
func manifest(t testing.TB, text string) *abi.Manifest {
	t.Helper()
	m, err := host.ParseManifest("test.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// swap makes a guest the current version of the plugin with its name. The manifest may be empty.
func swap(t testing.TB, h *host.Host, name, manifestText string) host.VersionInfo {
	t.Helper()
	return swapTo(t, h, name, guest(t, name), manifestText)
}

func swapTo(t testing.TB, h *host.Host, name string, wasm []byte, manifestText string) host.VersionInfo {
	t.Helper()
	src := host.Source{Wasm: wasm, Base: "."}
	if manifestText != "" {
		src.Manifest = manifest(t, manifestText)
	}
	v, err := h.Swap(t.Context(), name, src)
	if err != nil {
		t.Fatalf("Swap(%s): %v", name, err)
	}
	return v
}

// step splits "plugin:function"; "plugin" leaves the choice of the function to the host.
func step(t testing.TB, s, input string) abi.Call {
	t.Helper()
	plugin, function, err := abi.ParseStep(s)
	if err != nil {
		t.Fatal(err)
	}
	return abi.Call{Plugin: plugin, Function: function, Input: []byte(input)}
}

// run calls "plugin:function" and returns its output. The call must succeed.
func run(t testing.TB, h *host.Host, s, input string) string {
	t.Helper()
	res, err := h.Run(t.Context(), step(t, s, input), nil)
	if err != nil {
		t.Fatalf("%s(%.40q): %v\n%s", s, input, err, abi.AsError(err).Detail)
	}
	return string(res.Output)
}

// fails calls "plugin:function", which must fail with the code, and returns the error.
func fails(t testing.TB, h *host.Host, s, input string, code abi.Code) *abi.Error {
	t.Helper()
	return failsWithin(t.Context(), t, h, s, input, code)
}

func failsWithin(ctx context.Context, t testing.TB, h *host.Host, s, input string, code abi.Code) *abi.Error {
	t.Helper()
	c := step(t, s, input)
	res, err := h.Run(ctx, c, nil)
	if err == nil {
		t.Fatalf("%s(%.40q) gives %.80q, want an error with code %s", s, input, res.Output, code)
	}
	e, ok := errors.AsType[*abi.Error](err)
	if !ok {
		t.Fatalf("%s(%.40q): the error is a %T: %v", s, input, err, err)
	}
	if e.Code != code {
		t.Fatalf("%s(%.40q): code %s, want %s: %v\n%s", s, input, e.Code, code, e, e.Detail)
	}
	if e.Plugin != c.Plugin {
		t.Errorf("%s(%.40q): the error names plugin %q: %v", s, input, e.Plugin, e)
	}
	if strings.Contains(e.Error(), "\n") || e.Message == "" {
		t.Errorf("%s(%.40q): the error is not one line: %q", s, input, e.Error())
	}
	return e
}

// wantCode checks the code of an error, and that its text holds all the words.
func wantCode(t testing.TB, err error, code abi.Code, words ...string) {
	t.Helper()
	if got := abi.CodeOf(err); got != code {
		t.Fatalf("the error's code is %q, want %q: %v", got, code, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still not so after %v: %s", patience, what)
		}
	}
}

// recorder keeps the events of a host.
type recorder struct {
	mu     sync.Mutex
	events []host.Event
	more   chan struct{} // closed when the next event comes
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{})} }

// on is for Config.OnEvent.
func (r *recorder) on(e host.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	close(r.more)
	r.more = make(chan struct{})
}

// all returns the events so far of one kind.
func (r *recorder) all(kind host.EventKind) (list []host.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// nth waits for the nth event of a kind, from 1, and returns it.
func (r *recorder) nth(t testing.TB, kind host.EventKind, n int) host.Event {
	t.Helper()
	end := time.After(patience)
	for {
		r.mu.Lock()
		more := r.more
		r.mu.Unlock()
		if list := r.all(kind); len(list) >= n {
			return list[n-1]
		}
		select {
		case <-more:
		case <-end:
			t.Fatalf("event %s number %d did not come; there were: %s", kind, n, r)
		}
	}
}

// waitFor waits for an event of that kind about that version.
func (r *recorder) waitFor(t testing.TB, kind host.EventKind, version abi.Digest) host.Event {
	t.Helper()
	for n := 1; ; n++ {
		if e := r.nth(t, kind, n); e.Version == version {
			return e
		}
	}
}

// forget drops the events so far.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		fmt.Fprintf(&b, "%s %s %s %v; ", e.Kind, e.Plugin, e.Version.Short(), e.Err)
	}
	return b.String()
}

// info inspects a plugin that must be there.
func info(t testing.TB, h *host.Host, name string) host.PluginInfo {
	t.Helper()
	i, err := h.Inspect(name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func functionNames(i host.PluginInfo) (names []string) {
	for _, f := range i.Functions {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// write puts a file in place at once, as a careful writer does.
func write(t testing.TB, file string, data []byte) {
	t.Helper()
	next := filepath.Join(filepath.Dir(file), ".next-"+filepath.Base(file))
	if err := os.WriteFile(next, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
}

// tagged is the module with a custom section at its end: another version that does the same.
func tagged(wasm []byte, tag string) []byte {
	section := append([]byte{0, byte(len(tag) + 4), 3}, "tag"...)
	return slices.Concat(wasm, section, []byte(tag))
}
