package host_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// waitingCall begins a call that runs until its context ends, and returns when it runs.
func waitingCall(ctx context.Context, t *testing.T, h *host.Host, function string) chan error {
	t.Helper()
	running, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := h.Run(ctx, abi.Call{Plugin: "progress", Function: function}, func(p abi.Progress) {
			if p.Step == 2 {
				select {
				case <-running:
				default:
					close(running)
				}
			}
		})
		ended <- err
	}()
	<-running
	return ended
}

// TestCloseWaits checks that Close lets calls end that run, and that nothing begins after it.
func TestCloseWaits(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "progress", `{"taskhost": {"cancel_grace_ms": 10000}}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := waitingCall(ctx, t, h, "wait")
	closed := make(chan error, 1)
	go func() { closed <- h.Close(context.Background()) }()
	eventually(t, "the host takes no more calls", func() bool {
		_, err := h.Run(t.Context(), abi.Call{Plugin: "progress", Function: "process", Input: []byte("1")}, nil)
		return abi.CodeOf(err) == abi.CodeClosed
	})
	select {
	case err := <-closed:
		t.Fatalf("Close returned while a call runs: %v", err)
	case err := <-ended:
		t.Fatalf("Close ended a call: %v", err)
	default:
	}
	cancel()
	wantCode(t, <-ended, abi.CodeCancelled)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := h.Close(context.Background()); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	fails(t, h, "progress", "1", abi.CodeClosed)
	_, err := h.Swap(t.Context(), "echo", host.Source{Wasm: guest(t, "echo")})
	wantCode(t, err, abi.CodeClosed)
	_, err = h.Rollback(t.Context(), "progress")
	wantCode(t, err, abi.CodeClosed)
	if list := h.Plugins(); len(list) != 0 {
		t.Errorf("a closed host has plugins: %v", list)
	}
}

// TestCloseInterrupts checks that Close under a context that ended stops calls that run, and those that wait for an instance.
func TestCloseInterrupts(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "progress", `{"taskhost": {"max_instances": 1}}`)
	swap(t, h, "spin", "")
	ends := []chan error{waitingCall(t.Context(), t, h, "flood")}
	waiter := &doneSeen{Context: t.Context(), seen: make(chan struct{})}
	begin := func(ctx context.Context, plugin, function string) {
		ended := make(chan error, 1)
		ends = append(ends, ended)
		go func() {
			_, err := h.Run(ctx, abi.Call{Plugin: plugin, Function: function}, nil)
			ended <- err
		}()
	}
	begin(waiter, "progress", "flood") // it waits for the first
	<-waiter.seen
	for _, function := range []string{"spin", "host", "fill"} {
		begin(t.Context(), "spin", function)
	}
	eventually(t, "they run", func() bool { return info(t, h, "spin").Running == 3 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	for _, ended := range ends {
		err := <-ended
		wantCode(t, err, abi.CodeShutdown, "the host is closing")
		if abi.AsError(err).Plugin == "" {
			t.Errorf("the error names no plugin: %v", err)
		}
	}
}

// TestCloseWhileLoading checks that Close ends a load that would never end, from the folder and through Swap.
func TestCloseWhileLoading(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "echo.wasm"), guest(t, "echo"))
	h, events := watching(t, dir, host.Config{Limits: abi.Limits{RunTime: 30 * time.Second}})
	write(t, filepath.Join(dir, "loops.wasm"), broken(t, "init-loops"))
	write(t, filepath.Join(dir, "noop.wasm"), guest(t, "noop"))
	events.nth(t, host.EventLoad, 1)
	swapping := make(chan error, 1)
	waiter := &doneSeen{Context: t.Context(), seen: make(chan struct{})}
	go func() {
		_, err := h.Swap(waiter, "starts", host.Source{Wasm: broken(t, "start-loops")})
		swapping <- err
	}()
	<-waiter.seen
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("Close took %v", took)
	}
	wantCode(t, <-swapping, abi.CodeShutdown, "the host is closing", "plugin starts")
}

// TestHammer does everything at once, many times: calls that end well, fail, trap and are cancelled, swaps, rollbacks, changes of the
// folder, and whatever only looks; then closes the host while calls run.
func TestHammer(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"echo", "trap", "grow"} {
		write(t, filepath.Join(dir, name+".wasm"), guest(t, name))
	}
	write(t, filepath.Join(dir, "grow.json"), []byte(`{"taskhost": {"isolation": "reuse", "max_instances": 2}, "memory": {"max_pages": 20}}`))
	h, events := watching(t, dir, host.Config{MaxInstances: 3, IdleTimeout: 4 * time.Millisecond, Logger: slogTo(&logBook{})})
	swap(t, h, "spin", `{"timeout_ms": 3}`)
	swapWord(t, h, "aaa")
	swapWord(t, h, "bbb")
	const rounds = 60
	var group sync.WaitGroup
	hammer := func(workers int, do func(worker, round int)) {
		for w := range workers {
			group.Go(func() {
				for r := range rounds {
					do(w, r)
				}
			})
		}
	}
	call := func(ctx context.Context, s, input string, codes ...abi.Code) {
		_, err := h.Run(ctx, step(t, s, input), func(abi.Progress) {})
		for _, c := range append(codes, "") {
			if abi.CodeOf(err) == c {
				return
			}
		}
		t.Errorf("%s: want a code of %q: %v", s, codes, err)
	}
	hammer(3, func(w, r int) { call(t.Context(), "echo", fmt.Sprint(w, r)) })
	hammer(2, func(_, r int) {
		call(t.Context(), "trap", "trap", abi.CodeTrap)
		call(t.Context(), "grow:touch", "", abi.CodeMemoryLimit)
		call(t.Context(), "grow", "3", abi.CodeFailed)
	})
	hammer(2, func(_, r int) { call(t.Context(), "p:twice", "") })
	hammer(2, func(w, r int) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(3000))*time.Microsecond)
		defer cancel()
		call(ctx, "spin:nested", "", abi.CodeTimeout)
	})
	hammer(2, func(w, r int) {
		_, err := h.Swap(t.Context(), "p", host.Source{Wasm: speaking(t, fmt.Sprintf("%d%02d", w, r%5))})
		if err != nil && abi.CodeOf(err) != abi.CodeConflict {
			t.Error(err)
		}
		if _, err := h.Rollback(t.Context(), "p"); err != nil && abi.CodeOf(err) != abi.CodeConflict {
			t.Error(err)
		}
	})
	hammer(1, func(_, r int) {
		write(t, filepath.Join(dir, "echo.wasm"), tagged(guest(t, "echo"), fmt.Sprint("v", r%3)))
		if r%10 == 0 {
			write(t, filepath.Join(dir, "come-and-go.wasm"), broken(t, "invalid"))
		}
	})
	hammer(2, func(_, _ int) {
		for _, i := range h.Plugins() {
			if _, err := h.Inspect(i.Name); err != nil {
				t.Error(err)
			}
			if _, err := h.Versions(i.Name); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()

	var late sync.WaitGroup
	for range 8 {
		late.Go(func() {
			for {
				_, err := h.Run(t.Context(), abi.Call{Plugin: "spin", Function: "calls"}, nil)
				switch abi.CodeOf(err) {
				case abi.CodeClosed:
					return
				case abi.CodeTimeout, abi.CodeShutdown:
				default:
					t.Errorf("while the host closes: %v", err)
					return
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	late.Wait()
	// Every version that became current was freed, and every instance closed.
	loads := len(events.all(host.EventLoad)) + len(events.all(host.EventRollback))
	if frees := len(events.all(host.EventFree)); frees != loads {
		t.Errorf("%d versions became current, %d were freed", loads, frees)
	}
}
