package host_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// hostileCase is one thing that a guest tries.
type hostileCase struct {
	step, input string
	manifest    string // its limits; those that end with their time have timeout_ms 30 besides
	code        abi.Code
	says        []string // besides plugin and function: what happened, and what to do
}

// hostilePlugins are the guests of the corpus, each with a task that it does well, and what that gives where it is always the same.
var hostilePlugins = map[string]struct{ function, input, output string }{
	"spin":           {"process", "good", "good"},
	"calls":          {"fine", "", ""},
	"recursion":      {"process", "\x04", "\x04"},
	"bulk":           {"fine", "", ""},
	"grow":           {"process", "0", ""},
	"tables":         {"fine", "", ""},
	"alloc-flood":    {"zero", "", "0"},
	"kernel-hostile": {"script", "", ""},
	"user-hostile":   {"nothing", "", ""},
	"floods":         {"fine", "", ""},
	"wait":           {"fine", "", ""},
	"wasi":           {"fine", "", ""},
	"stdout":         {"_start", "", ""},
	"logs":           {"process", "2 10", "2"},
	"progress":       {"process", "3", "3"},
	"output":         {"process", "5", "xxxxx"},
	"env":            {"config", "k", "v"},
	"catches":        {"fine", "", ""},
	"checkpoint":     {"save", "", ""},
	"frames":         {"fine", "", ""},
}

var hostileCases = []hostileCase{
	// Without an end.
	{"spin:spin", "", "", abi.CodeTimeout, []string{"longer than its limit of 30ms", "raise timeout_ms"}},
	{"spin:nested", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"spin:backwards", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"spin:calls", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"spin:host", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"spin:fill", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"spin:nested", "", `"taskhost": {"max_fuel": 100000}`, abi.CodeFuelLimit, []string{"budget of 100000 ticks", "raise taskhost.max_fuel"}},
	{"calls:exponential", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"calls:tail", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"bulk:fill", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"bulk:copy", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"bulk:init", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"catches:spin", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"wait:wait", "", "", abi.CodeTrap, []string{"expected shared memory"}},
	{"wait:again", "", "", abi.CodeTrap, []string{"expected shared memory"}},

	// The stack.
	{"recursion:recurse", "", "", abi.CodeStackLimit, []string{"recurses too deeply", "33554432 bytes", "raise taskhost.max_stack_bytes"}},
	{"recursion:mutual", "", `"taskhost": {"max_stack_bytes": 65536}`, abi.CodeStackLimit, []string{"65536 bytes", "raise taskhost.max_stack_bytes"}},
	{"recursion:indirect", "", `"taskhost": {"max_stack_bytes": 1048576}`, abi.CodeStackLimit, []string{"1048576 bytes", "raise taskhost.max_stack_bytes"}},
	{"frames:recurse", "", "", abi.CodeStackLimit, []string{"raise taskhost.max_stack_bytes"}},

	// Memory.
	{"grow:touch", "", `"memory": {"max_pages": 512}`, abi.CodeMemoryLimit, []string{"limit of 33554432 bytes", "raise memory.max_pages"}},
	{"grow:grow", "", `"memory": {"max_pages": 512}`, abi.CodeFailed, []string{"memory.grow refused"}},
	{"grow:process", "65535", "", abi.CodeFailed, []string{"memory.grow refused"}},
	{"tables:grow", "", "", abi.CodeFailed, []string{"table.grow refused"}},
	{"tables:fill", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"alloc-flood:process", "", `"taskhost": {"max_kernel_bytes": 8388608}`, abi.CodeKernelMemoryLimit, []string{"8388608 bytes", "raise taskhost.max_kernel_bytes"}},
	{"alloc-flood:one", "18446744073709551615", "", abi.CodeKernelMemoryLimit, []string{"raise taskhost.max_kernel_bytes"}},

	// Output.
	{"floods:output", "", "", abi.CodeTrap, []string{"output_set: 4294967296 bytes at offset", "out of bounds"}},
	{"output:process", "4294967296", "", abi.CodeKernelMemoryLimit, []string{"raise taskhost.max_kernel_bytes"}},
	{"output:process", "20000000", "", abi.CodeOutputLimit, []string{"16777216 bytes", "raise taskhost.max_output_bytes"}},
	{"stdout:_start", "all of it", "", abi.CodeOutputLimit, []string{"16777216 bytes", "raise taskhost.max_output_bytes"}},

	// Calls of the host, as often and as large as it goes.
	{"logs:flood", "", "", abi.CodeLogLimit, []string{"1048576 bytes", "raise taskhost.max_log_bytes", "or log less"}},
	{"wasi:logs", "", "", abi.CodeLogLimit, []string{"raise taskhost.max_log_bytes"}},
	{"wasi:pieces", "", "", abi.CodeLogLimit, []string{"raise taskhost.max_log_bytes"}},
	{"wasi:out", "", "", abi.CodeLogLimit, []string{"raise taskhost.max_log_bytes"}},
	{"wasi:lines", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"wasi:empty", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"wasi:read", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"wasi:random", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"wasi:polls", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"wasi:sleep", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"wasi:clock", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"progress:flood", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"checkpoint:flood", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"floods:values", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"floods:names", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"floods:labels", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"floods:errors", "", "", abi.CodeTimeout, []string{"raise timeout_ms"}},
	{"floods:config", "", `"config": {"k": "` + strings.Repeat("v", 1000) + `"}`, abi.CodeKernelMemoryLimit, []string{"raise taskhost.max_kernel_bytes"}},
	{"floods:vars", "", "", abi.CodeKernelMemoryLimit, []string{"1048576 bytes", "raise memory.max_var_bytes"}},
	{"floods:http", "", "", abi.CodeDenied, []string{"example.com", "allowed_hosts"}},
	{"floods:headers", "", "", abi.CodeInvalid, []string{"http_request", "at most 1048576"}},
	{"catches:log", "", "", abi.CodeLogLimit, []string{"raise taskhost.max_log_bytes"}},
	{"catches:exit", "", "", abi.CodeFailed, []string{"it returned 7"}},

	// Out of bounds. TestKernelHostile and TestUserHostile go through all functions and offsets.
	{"kernel-hostile:load_u64", "", "", abi.CodeTrap, []string{"load_u64: 8 bytes at offset 18446744073709551600 are out of bounds"}},
	{"kernel-hostile:output_set", "", "", abi.CodeTrap, []string{"output_set: "}},
	{"kernel-hostile:log_error", "", "", abi.CodeTrap, []string{"log_error: there is no block at offset"}},
	{"user-hostile:read_pointer", "", "", abi.CodeTrap, []string{"taskhost_read: 16 bytes at the guest's address 4294967280 are out of bounds"}},
	{"user-hostile:metric_add_name", "", "", abi.CodeTrap, []string{"taskhost_metric", "there is no block at offset"}},
	{"wasi:count", "", "", abi.CodeFailed, []string{"it returned 21"}}, // EFAULT
}

// module is the plugin's Wasm, built or made here.
func (c *hostileCase) module(t testing.TB) []byte {
	t.Helper()
	switch plugin, _, _ := strings.Cut(c.step, ":"); plugin {
	case "catches":
		return catchingModule()
	case "frames":
		return framesModule()
	default:
		return guest(t, plugin)
	}
}

// parsedManifest is the case's manifest under an isolation.
func (c *hostileCase) parsedManifest(t testing.TB, isolation abi.Isolation) *abi.Manifest {
	t.Helper()
	text := c.manifest
	if text == "" {
		text = `"config": {"k": "v"}`
	}
	m := manifest(t, "{"+text+"}")
	if c.code == abi.CodeTimeout {
		m.TimeoutMS = 30
	}
	if m.Taskhost == nil {
		m.Taskhost = &abi.ManifestTaskhost{}
	}
	m.Taskhost.Isolation = isolation
	return m
}

// usage is what the process holds after a collection: goroutines, bytes on Go's heap, and resident bytes on Linux.
type usage struct {
	goroutines     int
	heap, resident int64
}

func measure(t testing.TB) usage {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage{goroutines: runtime.NumGoroutine(), heap: int64(m.HeapAlloc)}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil && !raceDetector {
		var size, resident int64
		if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
			t.Fatal(err)
		}
		u.resident = resident * int64(os.Getpagesize())
	}
	return u
}

// The bounds within which the process is back to where it was after a hostile call.
const (
	heapSlack     = 8 << 20
	residentSlack = 48 << 20
)

// discard is a log that is written and forgotten, so that guests' messages count.
func discard() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.Discard, nil)) //nolint:sloglint // slog.DiscardHandler is not enabled: nothing would be logged
}

// TestHostileCorpus runs every case under every isolation. Each ends in its own error and in its time; the next task of the same plugin
// works; and then the process holds what it held before.
func TestHostileCorpus(t *testing.T) {
	h := newHost(t, host.Config{Logger: discard(), IdleTimeout: 4 * time.Millisecond, OnEvent: func(host.Event) {}})
	for n := range hostileCases {
		c := &hostileCases[n]
		plugin, function, _ := strings.Cut(c.step, ":")
		wasm := c.module(t)
		for _, isolation := range []abi.Isolation{abi.IsolationPristine, abi.IsolationReuse, abi.IsolationFresh} {
			t.Run(strings.Join([]string{plugin, function, string(isolation)}, "/"), func(t *testing.T) {
				m := c.parsedManifest(t, isolation)
				if _, err := h.Swap(t.Context(), plugin, host.Source{Wasm: wasm, Manifest: m}); err != nil {
					t.Fatal(err)
				}
				nothingRuns(t, h)
				before := measure(t)
				rounds := 1
				if isolation == abi.IsolationPristine {
					rounds = 2 // the second finds the sandbox of the first
				}
				for range rounds {
					began := time.Now()
					c.check(t, h)
					if took, most := time.Since(began), 5*time.Second; took > most {
						t.Errorf("it ended after %v, want %v at most", took, most)
					}
					goodTask(t, h, plugin)
				}
				nothingRuns(t, h)
				isBack(t, before)
			})
		}
	}
}

// check makes the hostile call.
func (c *hostileCase) check(t testing.TB, h *host.Host) {
	t.Helper()
	plugin, function, _ := strings.Cut(c.step, ":")
	_, err := h.Run(t.Context(), abi.Call{Plugin: plugin, Function: function, Input: []byte(c.input)}, func(abi.Progress) {})
	if err == nil {
		t.Errorf("%s succeeds", c.step)
		return
	}
	e := abi.AsError(err)
	if e.Code != c.code {
		t.Errorf("%s: code %s, want %s: %v", c.step, e.Code, c.code, err)
	}
	for _, want := range append([]string{"plugin " + c.step + ": "}, c.says...) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error does not say %q: %v", c.step, want, err)
		}
	}
	if len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n") || len(e.Detail) > 20_000 {
		t.Errorf("%s: the error is long: %d bytes, detail %d: %.200v", c.step, len(err.Error()), len(e.Detail), err)
	}
}

// goodTask runs the plugin's own good task.
func goodTask(t testing.TB, h *host.Host, plugin string) {
	t.Helper()
	good := hostilePlugins[plugin]
	res, err := h.Run(t.Context(), abi.Call{Plugin: plugin, Function: good.function, Input: []byte(good.input)}, nil)
	if err != nil || good.output != "" && string(res.Output) != good.output {
		t.Errorf("the next task of %s gives %.40q: %v", plugin, res.Output, err)
	}
}

// nothingRuns waits until every instance is gone, and with the last its memory.
func nothingRuns(t testing.TB, h *host.Host) {
	t.Helper()
	eventually(t, "no instance holds memory", func() bool {
		for _, i := range h.Plugins() {
			if i.Running != 0 || i.Instances != 0 {
				return false
			}
		}
		return h.MemoryInUse() == 0
	})
}

// isBack waits until the process holds no more than before, but for some slack.
func isBack(t testing.TB, before usage) {
	t.Helper()
	var now usage
	back := func() bool {
		now = measure(t)
		return now.goroutines <= before.goroutines && now.heap <= before.heap+heapSlack && now.resident <= before.resident+residentSlack
	}
	for end := time.Now().Add(patience / 6); !back(); {
		if time.Now().After(end) {
			t.Fatalf("before there were %+v, now there are %+v", before, now)
		}
	}
}

// TestHostileFiles checks that a guest cannot hide from its end in a write to a file of a granted folder, and that the file is closed.
func TestHostileFiles(t *testing.T) {
	h := newHost(t, host.Config{IdleTimeout: 4 * time.Millisecond})
	c := hostileCase{step: "files:pieces", code: abi.CodeTimeout, says: []string{"raise timeout_ms"}}
	m := c.parsedManifest(t, abi.IsolationPristine)
	m.AllowedPaths = map[string]string{t.TempDir(): "/data"}
	if _, err := h.Swap(t.Context(), "files", host.Source{Wasm: guest(t, "files"), Manifest: m}); err != nil {
		t.Fatal(err)
	}
	before := measure(t)
	for range 3 {
		began := time.Now()
		c.check(t, h)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it ended after %v", took)
		}
		run(t, h, "files:fine", "")
	}
	nothingRuns(t, h)
	isBack(t, before)
}

// TestStackIsBounded checks that runaway recursion takes no more memory than its limit allows, whatever the frames, and that it is given
// back while the instance stays. The engine doubles a stack that is too small, so that all of its stacks together are less than four
// times what was used.
func TestStackIsBounded(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, c := range []hostileCase{{step: "recursion:recurse"}, {step: "recursion:indirect"}, {step: "frames:recurse"}} {
		for _, limit := range []int64{64 << 10, 1 << 20, 8 << 20, 32 << 20} {
			plugin, function, _ := strings.Cut(c.step, ":")
			m := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{MaxStackBytes: limit}}
			if _, err := h.Swap(t.Context(), plugin, host.Source{Wasm: c.module(t), Manifest: m}); err != nil {
				t.Fatal(err)
			}
			before := measure(t)
			var from, to runtime.MemStats
			runtime.ReadMemStats(&from)
			_, err := h.Run(t.Context(), abi.Call{Plugin: plugin, Function: function}, nil)
			runtime.ReadMemStats(&to)
			wantCode(t, err, abi.CodeStackLimit, fmt.Sprintf("%d bytes of stack", limit))
			if took := int64(to.TotalAlloc - from.TotalAlloc); took > 4*limit+1<<20 {
				t.Errorf("%s with %d bytes of stack allocates %d", c.step, limit, took)
			}
			if now := measure(t); now.heap > before.heap+1<<20 {
				t.Errorf("%s with %d bytes of stack leaves %d on the heap", c.step, limit, now.heap-before.heap)
			}
		}
	}
}

// TestHostileCorpusAtOnce runs the corpus on many goroutines, beside tasks that must all give what they give when alone.
func TestHostileCorpusAtOnce(t *testing.T) {
	h := newHost(t, host.Config{Logger: discard(), MaxInstances: 4, OnEvent: func(host.Event) {}})
	good := map[string][]byte{"upper-c": built(t, "upper-c.wasm"), "upper-rust": built(t, "upper-rust.wasm"), "echo": guest(t, "echo")}
	for name, wasm := range good {
		if _, err := h.Swap(t.Context(), name, host.Source{Wasm: wasm}); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"upper-c", "upper-rust", "echo"}
	// A host for each case would be no neighbour: each case is a plugin of its own.
	for n := range hostileCases {
		c := &hostileCases[n]
		isolation := []abi.Isolation{abi.IsolationPristine, abi.IsolationReuse, abi.IsolationFresh}[n%3]
		name := fmt.Sprintf("hostile-%d", n)
		if _, err := h.Swap(t.Context(), name, host.Source{Wasm: c.module(t), Manifest: c.parsedManifest(t, isolation)}); err != nil {
			t.Fatal(err)
		}
	}
	before := runtime.NumGoroutine()
	stop, cancel := context.WithCancel(t.Context())
	var bad, fine sync.WaitGroup
	for g := range 4 {
		bad.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(g)))
			for stop.Err() == nil {
				n := random.IntN(len(hostileCases))
				c := &hostileCases[n]
				_, function, _ := strings.Cut(c.step, ":")
				_, err := h.Run(t.Context(), abi.Call{Plugin: fmt.Sprintf("hostile-%d", n), Function: function, Input: []byte(c.input)}, nil)
				// With all cores busy a call may run out of its 30 ms before it gets to its own end.
				if code := abi.CodeOf(err); code != c.code && code != abi.CodeTimeout {
					t.Errorf("%s: code %q, want %s: %v", c.step, code, c.code, err)
				}
			}
		})
	}
	for g := range 4 {
		fine.Go(func() {
			random := rand.New(rand.NewPCG(4, uint64(g)))
			for n := range 150 {
				in := []byte(strings.ToUpper(fmt.Sprintf("%s %d %d", strings.Repeat("NOTHING TO SEE ", random.IntN(3000)), g, n)))
				name := names[random.IntN(len(names))]
				res, err := h.Run(t.Context(), abi.Call{Plugin: name, Function: "process", Input: in}, nil)
				if err != nil || !bytes.Equal(res.Output, in) {
					t.Errorf("%s gives %d bytes for %d: %v", name, len(res.Output), len(in), err)
				}
			}
		})
	}
	fine.Wait()
	cancel()
	bad.Wait()
	for _, i := range h.Plugins() {
		if i.Running != 0 || i.Instances > i.MaxInstances {
			t.Errorf("%s has %d instances and %d calls", i.Name, i.Instances, i.Running)
		}
	}
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
}
