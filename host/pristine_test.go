package host_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestPristineIsFresh calls plugins with random inputs, once in a sandbox that is put back after each call, once in one that is made for
// each, and compares what they give. It takes the plugins that do not tell the time.
func TestPristineIsFresh(t *testing.T) {
	h := newHost(t, host.Config{})
	sdk := goSDK(t)
	for _, p := range []struct {
		file      string
		functions []string
		calls     int
	}{
		{filepath.Join(sdk, "count_vowels.wasm"), []string{"count_vowels"}, 300},
		{filepath.Join(sdk, "hello_haskell.wasm"), []string{"testing"}, 60},
		{filepath.Join(sdk, "replace.wasm"), []string{"run_test"}, 100},
		{filepath.Join(sdk, "println.wasm"), []string{"run_test"}, 100},
		{filepath.Join(sdk, "var.wasm"), []string{"run_test"}, 50},
		{filepath.Join(sdk, "count_vowels_std.wasm"), []string{"_start"}, 30},
		{filepath.Join(testdata(t), "upper-c.wasm"), []string{"process"}, 300},
		{filepath.Join(testdata(t), "upper-rust.wasm"), []string{"process"}, 300},
		{filepath.Join(testdata(t), "upper-as.wasm"), []string{"process"}, 300},
		{filepath.Join(testdata(t), "upper-wat.wasm"), []string{"process"}, 300},
		{filepath.Join(testdata(t), "upper-go.wasm"), []string{"process"}, 40},
		{filepath.Join(testdata(t), "filter-c.wasm"), []string{"_start"}, 200},
		{filepath.Join(testdata(t), "guests", "secrets.wasm"), []string{"write", "read", "dirty", "sweep", "shown"}, 300},
		{filepath.Join(testdata(t), "guests", "grow.wasm"), []string{"size", "grow", "touch"}, 200},
	} {
		name := strings.TrimSuffix(filepath.Base(p.file), ".wasm")
		t.Run(name, func(t *testing.T) {
			wasm := read(t, p.file)
			for _, isolation := range []abi.Isolation{abi.IsolationPristine, abi.IsolationFresh} {
				m := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{Isolation: isolation}}
				if _, err := h.Swap(t.Context(), name+"-"+string(isolation), host.Source{Wasm: wasm, Manifest: m}); err != nil {
					t.Fatal(err)
				}
			}
			info, err := h.Inspect(name + "-pristine")
			if err != nil || !strings.Contains(info.Sandbox, "put back") {
				t.Fatalf("it is not put back: %s, %v", info.Sandbox, err)
			}
			random := rand.New(rand.NewPCG(1, 2))
			for n := range p.calls {
				call := abi.Call{Function: p.functions[random.IntN(len(p.functions))], Input: randomInput(random)}
				var got [2]string
				for k, isolation := range []string{"-pristine", "-fresh"} {
					call.Plugin = name + isolation
					res, err := h.Run(t.Context(), call, nil)
					e := abi.AsError(err)
					if e != nil {
						got[k] = fmt.Sprintf("%s: %s", e.Code, e.Message)
					} else {
						got[k] = string(res.Output)
					}
				}
				if got[0] != got[1] {
					t.Fatalf("call %d of %s with %d bytes: pristine gives %.200q, fresh %.200q", n, call.Function, len(call.Input), got[0], got[1])
				}
			}
		})
	}
}

// randomInput is short or long, text or not.
func randomInput(r *rand.Rand) []byte {
	b := make([]byte, r.IntN([]int{1, 10, 100, 5000, 100_000}[r.IntN(5)])+r.IntN(2))
	text := r.IntN(3) > 0
	for i := range b {
		b[i] = byte(r.Uint32())
		if text {
			b[i] = " etaoinshrdlu\n"[int(b[i])%14]
		}
	}
	return b
}

func TestMemoryIsPutBackHoweverMuchWasWritten(t *testing.T) {
	h := newHost(t, host.Config{})
	wasm := read(t, testdata(t), "guests", "echo.wasm")
	if _, err := h.Swap(t.Context(), "echo", host.Source{Wasm: wasm}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 4096, 100_000, 9 << 20, 5, 12 << 20, 1 << 16} {
		in := make([]byte, size)
		for i := range in {
			in[i] = byte(i * 7)
		}
		res, err := h.Run(t.Context(), abi.Call{Plugin: "echo", Function: "process", Input: in}, nil)
		if err != nil || string(res.Output) != string(in) {
			t.Fatalf("%d bytes: %d bytes, %v", size, len(res.Output), err)
		}
	}
}
