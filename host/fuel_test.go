package host_test

import (
	"path/filepath"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestFuel holds a call to its budget, which is deterministic: the same input costs the same, and a budget of that much suffices.
func TestFuel(t *testing.T) {
	h := newHost(t, host.Config{})
	wasm := read(t, filepath.Join(testdata(t), "upper-c.wasm"))
	swap := func(name string, fuel int64) {
		t.Helper()
		m := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{MaxFuel: fuel}}
		if _, err := h.Swap(t.Context(), name, host.Source{Wasm: wasm, Manifest: m}); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string) (abi.Result, error) {
		return h.Run(t.Context(), abi.Call{Plugin: name, Input: make([]byte, 100_000)}, nil)
	}
	swap("upper", 0)
	first, err := run("upper")
	if err != nil {
		t.Fatal(err)
	}
	ticks := first.Usage.Ticks
	if ticks < 100_000 {
		t.Errorf("100,000 bytes cost %d ticks", ticks)
	}
	for range 3 {
		again, err := run("upper")
		if err != nil || again.Usage.Ticks != ticks {
			t.Errorf("the same call costs %d ticks, then %d; %v", ticks, again.Usage.Ticks, err)
		}
	}
	swap("enough", int64(ticks)+1)
	if _, err := run("enough"); err != nil {
		t.Errorf("with a budget of what it costs: %v", err)
	}
	swap("little", int64(ticks)/2)
	for range 2 {
		if _, err := run("little"); abi.CodeOf(err) != abi.CodeFuelLimit {
			t.Errorf("with half of what it costs: %v", err)
		}
		if res, err := h.Run(t.Context(), abi.Call{Plugin: "little", Input: []byte("fine")}, nil); err != nil || string(res.Output) != "FINE" {
			t.Errorf("the next call: %q, %v", res.Output, err)
		}
	}
}
