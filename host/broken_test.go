package host_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// brokenModules are the modules of testdata/guests/broken that can be refused without waiting, and what the reason must say.
var brokenModules = map[string]struct {
	code abi.Code
	want []string
}{
	"big-memory":      {abi.CodeMemoryLimit, []string{"2147483648 bytes of memory", "memory.max_pages"}},
	"init-traps":      {abi.CodeTrap, []string{"while it starts", "unreachable"}},
	"invalid":         {abi.CodeRefused, []string{"does not compile", "cannot use i64"}},
	"missing-import":  {abi.CodeRefused, []string{`"no_such_function"`, "extism:host/env", "no such function"}},
	"missing-module":  {abi.CodeRefused, []string{`"emscripten_notify_memory_growth"`, `module "env"`, "nobody provides"}},
	"mistyped-import": {abi.CodeRefused, []string{`"alloc"`, "extism:host/env", "(i32) -> (i32)", "(i64) -> (i64)"}},
	"no-functions":    {abi.CodeRefused, []string{"exports no function that can be called", "_start"}},
	"not-wasm":        {abi.CodeRefused, []string{"no WebAssembly"}},
	"start-traps":     {abi.CodeTrap, []string{"while it starts", "unreachable"}},
	"truncated":       {abi.CodeRefused, []string{"not a valid module"}},
}

// TestBrokenModules checks that each broken module is refused with a reason that its author can act on, through Swap.
func TestBrokenModules(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	files, err := filepath.Glob(filepath.Join(testdata(t), "broken", "*.wasm"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no broken modules: run make plugins: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".wasm")
		want, ok := brokenModules[name]
		if !ok {
			if !strings.HasSuffix(name, "-loops") {
				t.Errorf("%s is not tested", name)
			}
			continue
		}
		_, err := h.Swap(t.Context(), name, host.Source{Wasm: broken(t, name)})
		wantCode(t, err, want.code, append(want.want, "plugin "+name+": ")...)
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the reason has several lines: %q", name, err)
		}
		refused := events.all(host.EventRefuse)
		if e := refused[len(refused)-1]; e.Plugin != name || e.Err == nil {
			t.Errorf("%s: the event is %+v", name, e)
		}
	}
	if list := h.Plugins(); len(list) != 0 {
		t.Errorf("there are plugins: %+v", list)
	}
}

// TestBrokenModulesInFolder checks that they do not keep the others in their folder from loading.
func TestBrokenModulesInFolder(t *testing.T) {
	dir := t.TempDir()
	for name := range brokenModules {
		write(t, filepath.Join(dir, name+".wasm"), broken(t, name))
	}
	write(t, filepath.Join(dir, "empty.wasm"), nil)
	write(t, filepath.Join(dir, "component.wasm"), []byte{0, 'a', 's', 'm', 0x0d, 0, 1, 0})
	write(t, filepath.Join(dir, "future.wasm"), []byte{0, 'a', 's', 'm', 2, 0, 0, 0})
	for _, name := range []string{"echo", "noop"} {
		write(t, filepath.Join(dir, name+".wasm"), guest(t, name))
	}
	logs := &logBook{}
	h := newHost(t, host.Config{Dir: dir, WatchInterval: -1, Logger: slogTo(logs)})
	for _, name := range []string{"echo", "noop"} {
		run(t, h, name, "")
	}
	list := h.Plugins()
	if len(list) != len(brokenModules)+5 {
		t.Errorf("%d plugins, want %d", len(list), len(brokenModules)+5)
	}
	for _, i := range list {
		if i.Name == "echo" || i.Name == "noop" {
			continue
		}
		if i.State != host.StateRefused || i.Error == "" || i.Digest != "" || filepath.Base(i.Path) != i.Name+".wasm" {
			t.Errorf("%s is %+v", i.Name, i)
		}
		for _, want := range brokenModules[i.Name].want {
			if !strings.Contains(i.Error, want) {
				t.Errorf("%s: the reason %q does not say %q", i.Name, i.Error, want)
			}
		}
		e := fails(t, h, i.Name, "", abi.CodeRefused)
		wantCode(t, e, abi.CodeRefused, "its file was refused")
		if got := logs.messages("plugin", i.Name); len(got) != 1 || got[0] != "ERROR plugin refused" {
			t.Errorf("%s: the log says %q", i.Name, got)
		}
	}
	if i := info(t, h, "component"); !strings.Contains(i.Error, "component") || !strings.Contains(i.Error, "wasip1") {
		t.Errorf("a component is refused with %q", i.Error)
	}
}

// TestModulesThatNeverStart checks that loading a module that never finishes starting ends with its context or its run time.
func TestModulesThatNeverStart(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, name := range []string{"init-loops", "start-loops"} {
		var err error
		for range 100 { // the context may end before there is anything that it could interrupt
			ctx, cancel := context.WithCancelCause(t.Context())
			waiter := &doneSeen{Context: ctx, seen: make(chan struct{})}
			go func() {
				<-waiter.seen
				cancel(&abi.Error{Code: abi.CodeShutdown, Message: "no time left"})
			}()
			_, err = h.Swap(waiter, name, host.Source{Wasm: broken(t, name)})
			cancel(nil)
			if err == nil || strings.Contains(err.Error(), "while it ") {
				break
			}
		}
		wantCode(t, err, abi.CodeShutdown, "while it ", "no time left", "plugin "+name)
		_, err = h.Swap(t.Context(), name, host.Source{Wasm: broken(t, name), Manifest: manifest(t, `{"timeout_ms": 10}`)})
		wantCode(t, err, abi.CodeTimeout, "while it starts", "10ms")
	}
	if list := h.Plugins(); len(list) != 0 {
		t.Errorf("there are plugins: %+v", list)
	}
}

// TestNewIsCancelled checks that New gives up with its context, and leaves nothing behind (see TestMain).
func TestNewIsCancelled(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "loops.wasm"), broken(t, "init-loops"))
	write(t, filepath.Join(dir, "echo.wasm"), guest(t, "echo"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := newRecorder()
	go func() {
		events.nth(t, host.EventLoad, 1) // echo is loaded, loops never will be
		cancel()
	}()
	h, err := host.New(ctx, host.Config{Dir: dir, CacheDir: testCache, OnEvent: events.on})
	wantCode(t, err, abi.CodeCancelled, dir)
	if h != nil {
		t.Error("there is a host beside the error")
	}
	for _, cache := range []string{testCache, "off"} { // under a context that ended before
		for _, cfg := range []host.Config{{CacheDir: cache}, {CacheDir: cache, Dir: dir}} {
			_, err := host.New(ctx, cfg)
			wantCode(t, err, abi.CodeCancelled)
		}
	}
}
