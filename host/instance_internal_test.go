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
