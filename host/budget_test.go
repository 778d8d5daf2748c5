package host_test

import (
	"context"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestCallsWaitForMemory runs more calls at once than the budget has room for: they wait, and all succeed.
func TestCallsWaitForMemory(t *testing.T) {
	wasm := read(t, testdata(t), "guests", "echo.wasm")
	in := make([]byte, 3<<20)
	const one = 7 << 20 // 3 MiB in the guest, and twice in the kernel
	gone := make(chan struct{}, 1000)
	h := newHost(t, host.Config{MaxMemory: 3 * one, MaxInstances: 16, OnEvent: func(e host.Event) {
		if e.Kind == host.EventInstanceGone {
			gone <- struct{}{}
		}
	}})
	for _, name := range []string{"one", "two"} {
		if _, err := h.Swap(t.Context(), name, host.Source{Wasm: wasm}); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for n := range 16 {
		group.Go(func() {
			for range 10 {
				call := abi.Call{Plugin: []string{"one", "two"}[n%2], Function: "process", Input: in}
				res, err := h.Run(t.Context(), call, nil)
				switch {
				case abi.CodeOf(err) == abi.CodeUnavailable: // all that ran waited to grow; this one gave way
				case err != nil:
					t.Error(err)
				case len(res.Output) != len(in):
					t.Errorf("%d bytes", len(res.Output))
				}
			}
		})
	}
	group.Wait()
	if len(gone) == 0 {
		t.Error("no idle instance made room")
	}
}

func TestMemoryBudgetIsBounded(t *testing.T) {
	h := newHost(t, host.Config{MaxMemory: 4 << 20})
	if _, err := h.Swap(t.Context(), "grow", host.Source{Wasm: guest(t, "grow")}); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		_, err := h.Run(t.Context(), abi.Call{Plugin: "grow", Function: []string{"grow", "touch"}[n]}, nil)
		if abi.CodeOf(err) != abi.CodeUnavailable {
			t.Errorf("a guest that grows for ever: %v", err)
		}
		if _, err := h.Run(t.Context(), abi.Call{Plugin: "grow", Function: "size"}, nil); err != nil {
			t.Errorf("the next call: %v", err)
		}
	}
	_, err := h.Swap(t.Context(), "big", host.Source{Wasm: read(t, testdata(t), "upper-go.wasm")})
	if abi.CodeOf(err) != abi.CodeMemoryLimit && err != nil {
		t.Errorf("a plugin larger than the budget: %v", err)
	}
}

func TestWaitingForMemoryEndsWithTheContext(t *testing.T) {
	h := newHost(t, host.Config{MaxMemory: 1 << 20, MaxInstances: 20})
	if _, err := h.Swap(t.Context(), "spin", host.Source{Wasm: guest(t, "spin")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	codes := make(chan abi.Code, 20)
	for range 20 {
		group.Go(func() {
			_, err := h.Run(ctx, abi.Call{Plugin: "spin", Function: "spin"}, nil)
			codes <- abi.CodeOf(err)
		})
	}
	for { // until as many run as there is room for
		info, err := h.Inspect("spin")
		if err != nil {
			t.Fatal(err)
		}
		if info.Instances == 8 && info.Running == 20 {
			break
		}
	}
	cancel()
	group.Wait()
	close(codes)
	for c := range codes {
		if c != abi.CodeCancelled {
			t.Errorf("code %s", c)
		}
	}
}
