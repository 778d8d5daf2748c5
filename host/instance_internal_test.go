package host

import (
	"context"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// TestFunctionsAtHand checks that an instance does not keep a native stack for each function that was ever called, and none on which a
// call has trapped.
func TestFunctionsAtHand(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	if _, err := h.Swap(t.Context(), "p", Source{Wasm: guestFile(t, "hostile/kernel-hostile")}); err != nil {
		t.Fatal(err)
	}
	v := h.plugins["p"].current
	i := v.pool.idle[0]
	atHand := func() (n int) {
		for _, f := range i.funcs {
			if f != nil {
				n++
			}
		}
		return n
	}
	if len(v.functions) <= maxHandles {
		t.Fatalf("the guest has %d functions", len(v.functions))
	}
	for _, function := range append(v.functions, v.functions...) {
		_, err := h.Run(t.Context(), abi.Call{Plugin: "p", Function: function}, nil)
		if n := atHand(); n > maxHandles {
			t.Fatalf("%d functions are at hand", n)
		}
		returned := err == nil || abi.CodeOf(err) == abi.CodeFailed
		if kept := i.funcs[v.numbers[function]] != nil; kept != returned {
			t.Errorf("after %v %s is at hand: %v", err, function, kept)
		}
	}
}

// TestLargeStacksAreGivenUp checks that an idle instance keeps no native stack that a deep call has made large.
func TestLargeStacksAreGivenUp(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	if _, err := h.Swap(t.Context(), "p", Source{Wasm: guestFile(t, "guests/descend")}); err != nil {
		t.Fatal(err)
	}
	i := h.plugins["p"].current.pool.idle[0]
	for _, c := range []struct {
		depth int
		keeps bool
	}{{100, true}, {30_000, false}, {100, true}} {
		if _, err := h.Run(t.Context(), abi.Call{Plugin: "p", Input: make([]byte, c.depth)}, nil); err != nil {
			t.Fatal(err)
		}
		if f := i.funcs[0]; (f != nil) != c.keeps {
			t.Errorf("%d calls deep: its stack is kept: %v", c.depth, f != nil)
		} else if f != nil && (stackSize(f) == 0 || stackSize(f) > maxIdleStack) {
			t.Errorf("%d calls deep: its stack has %d bytes", c.depth, stackSize(f))
		}
	}
}
