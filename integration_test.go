package taskhost_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start makes a host on a folder and a manager on the host, and stops both when the test ends.
func start(t *testing.T, dir string, hc host.Config, mc manager.Config) (*host.Host, *manager.Manager) {
	t.Helper()
	hc.Dir = dir
	h, err := host.New(t.Context(), hc)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manager.New(h, mc)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := m.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h, m
}

func guest(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("build", "testdata", name+".wasm"))
	if err != nil {
		t.Fatalf("%v; run make plugins first", err)
	}
	return b
}

// install puts a plugin's file into the folder at once.
func install(t *testing.T, dir, name string, wasm []byte) {
	t.Helper()
	tmp := filepath.Join(dir, "."+name+".new")
	if err := os.WriteFile(tmp, wasm, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, name+".wasm")); err != nil {
		t.Fatal(err)
	}
}

// TestPluginIsReplacedWhileTasksRun sends a thousand tasks through a plugin whose file is replaced ten times.
func TestPluginIsReplacedWhileTasksRun(t *testing.T) {
	const tasks, swaps = 1000, 10
	dir := t.TempDir()
	versions := [][]byte{guest(t, "upper-c"), guest(t, "upper-rust"), guest(t, "upper-wat")}
	install(t, dir, "upper", versions[0])
	loaded, freed := make(chan abi.Digest, 2*swaps), make(chan abi.Digest, 2*swaps)
	hc := host.Config{WatchInterval: 3 * time.Millisecond, OnEvent: func(e host.Event) {
		switch e.Kind {
		case host.EventLoad:
			loaded <- e.Version
		case host.EventFree:
			freed <- e.Version
		}
	}}
	h, m := start(t, dir, hc, manager.Config{MaxConcurrent: 4})
	<-loaded

	// The producer goes on until the last swap is done and there were enough tasks.
	var done atomic.Bool
	ids := make(chan string, 100*tasks)
	produced := make(chan error, 1)
	go func() {
		defer close(ids)
		for n := 0; n < tasks || !done.Load(); n++ {
			task, err := m.SubmitWait(t.Context(), manager.ProcessorTask(fmt.Sprintf("hello %d", n), "upper"))
			if err != nil {
				produced <- err
				return
			}
			select {
			case ids <- task.ID:
			default: // more than anybody looks at
			}
		}
		produced <- nil
	}()
	used := map[abi.Digest]bool{}
	for n := 1; n <= swaps; n++ {
		install(t, dir, "upper", versions[n%len(versions)])
		used[<-loaded] = true
		<-freed
	}
	done.Store(true)
	if err := <-produced; err != nil {
		t.Fatal(err)
	}
	n := 0
	for id := range ids {
		res, err := m.Result(t.Context(), id)
		if err != nil {
			t.Fatalf("task %d: %v", n, err)
		}
		if want := fmt.Sprintf("HELLO %d", n); string(res.Output) != want {
			t.Fatalf("task %d gave %q, want %q", n, res.Output, want)
		}
		n++
	}
	if n < tasks || len(used) != len(versions) {
		t.Errorf("%d tasks on %d versions", n, len(used))
	}
	info, err := h.Inspect("upper")
	if err != nil || info.State != host.StateReady || info.Instances > info.MaxInstances {
		t.Errorf("%+v, %v", info, err)
	}
	t.Logf("%d tasks, %d swaps", n, swaps)
}

// TestLoopIsCancelledAndItsSlotIsFree cancels an endless loop that holds the only slot; the next task of the plugin works.
func TestLoopIsCancelledAndItsSlotIsFree(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "spin", guest(t, "hostile/spin"))
	_, m := start(t, dir, host.Config{}, manager.Config{MaxConcurrent: 1})
	for _, end := range []struct {
		name string
		want abi.Code
		do   func(spec manager.Spec) manager.Task
	}{
		{"cancel", abi.CodeCancelled, func(spec manager.Spec) manager.Task {
			sub, err := m.Subscribe(t.Context(), manager.Filter{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			task, err := m.Submit(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			for e := range sub.Events() {
				if e.Task.ID == task.ID && e.Kind == manager.EventStart {
					break
				}
			}
			if err := m.Cancel(t.Context(), task.ID); err != nil {
				t.Fatal(err)
			}
			return task
		}},
		{"timeout", abi.CodeTimeout, func(spec manager.Spec) manager.Task {
			spec.Timeout = 50 * time.Millisecond
			task, err := m.Submit(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			return task
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			for _, function := range []string{"spin", "nested", "calls", "fill", "host"} {
				task := end.do(manager.ProcessorTask("", "spin:"+function))
				_, err := m.Result(t.Context(), task.ID)
				if e := abi.AsError(err); e == nil || e.Code != end.want || e.Plugin != "spin" || e.Func != function {
					t.Errorf("%s: %v with code %s", function, err, abi.CodeOf(err))
				}
				next, err := m.Submit(t.Context(), manager.ProcessorTask("fine", "spin"))
				if err != nil {
					t.Fatal(err)
				}
				if res, err := m.Result(t.Context(), next.ID); err != nil || !strings.EqualFold(string(res.Output), "fine") {
					t.Errorf("after %s: %q, %v", function, res.Output, err)
				}
			}
		})
	}
}
