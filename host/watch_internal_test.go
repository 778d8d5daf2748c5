package host

import (
	"context"
	"os"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// TestWatchIsGivenUp checks that a call that gives way, or waits, is not watched any longer: it may go on on another thread, whose page
// faults are not the ones that were counted.
func TestWatchIsGivenUp(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	wasm, err := os.ReadFile("../build/testdata/upper-rust.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Swap(t.Context(), "p", Source{Wasm: wasm}); err != nil {
		t.Fatal(err)
	}
	v := h.plugins["p"].current
	i, _ := v.pool.tryEnter()
	if i == nil {
		t.Fatal("no instance is idle")
	}
	for name, do := range map[string]func(){
		"gives way": func() { yield(i, nil) },
		"waits": func() {
			_, release := i.stop.waiting()
			release()
		},
		"does neither": nil,
	} {
		i.begin(t.Context(), &abi.Call{}, nil)
		i.stop.arm(t.Context(), h.now(), v.limits.RunTime)
		i.watch.Begin()
		if do != nil {
			do()
		}
		i.stop.disarm()
		if same := i.watch.End(); same && do != nil {
			t.Errorf("of a call that %s the watch says that it knows", name)
		}
		i.end()
	}
	v.pool.leave(i, h.now())
}
