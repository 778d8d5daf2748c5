package host

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host/internal/linmem"
)

// TestWithoutTheSystemsHelp runs pristine calls as on a system that does not tell which pages were written.
func TestWithoutTheSystemsHelp(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "../build/cache/test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.memory.Close(); err != nil {
		t.Fatal(err)
	}
	h.memory = linmem.Portable()
	defer func() {
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"upper-c", "upper-go", "guests/echo"} {
		wasm, err := os.ReadFile("../build/testdata/" + name + ".wasm")
		if err != nil {
			t.Fatalf("%v; run make plugins first", err)
		}
		if _, err := h.Swap(t.Context(), "p", Source{Wasm: wasm}); err != nil {
			t.Fatal(err)
		}
		for n := range 20 {
			in := bytes.Repeat([]byte(fmt.Sprintf("%d HELLO ", n)), 1+n*500)
			res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Function: "process", Input: in}, nil)
			if err != nil || !bytes.Equal(res.Output, in) {
				t.Fatalf("%s: %.50q, %v", name, res.Output, err)
			}
		}
	}
	wasm, err := os.ReadFile("../build/testdata/guests/secrets.wasm")
	if err != nil {
		t.Fatalf("%v; run make plugins first", err)
	}
	if _, err := h.Swap(t.Context(), "secrets", Source{Wasm: wasm}); err != nil {
		t.Fatal(err)
	}
	before, err := h.Run(t.Context(), abi.Call{Plugin: "secrets", Function: "read"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(t.Context(), abi.Call{Plugin: "secrets", Function: "write", Input: []byte("password")}, nil); err != nil {
		t.Fatal(err)
	}
	after, err := h.Run(t.Context(), abi.Call{Plugin: "secrets", Function: "read"}, nil)
	if err != nil || !bytes.Equal(before.Output, after.Output) {
		t.Errorf("a secret is read in the next call: %q, then %q, %v", before.Output, after.Output, err)
	}
}
