package host

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/taskhost/taskhost/abi"
)

// TestLoadedPluginsAreSlim looks at what a large plugin keeps in memory once it is loaded, lets it run while its code is put into a file
// once more, and goes back to a version whose module is in a file.
func TestLoadedPluginsAreSlim(t *testing.T) {
	h, err := New(t.Context(), Config{CacheDir: "../build/cache/test"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	rust := guestFile(t, "upper-rust")
	if _, err := h.Swap(t.Context(), "p", Source{Wasm: guestFile(t, "upper-go")}); err != nil {
		t.Fatal(err)
	}
	v := h.plugins["p"].current
	i := v.pool.idle[0]
	code := machineCode(i.main().ExportedFunction(v.functions[0]))
	if len(code) < 1<<20 {
		t.Fatalf("%d bytes of machine code: the engine is another one, see slim_linux.go", len(code))
	}
	if line := mappingOf(t, code); !strings.Contains(line, "r-xp") || !strings.Contains(line, ".unnamed-") {
		t.Errorf("the code is in memory: %s", line)
	}
	if bodies := reflect.ValueOf(v.modules[0].compiled).Elem().FieldByName("module").Elem().FieldByName("CodeSection"); bodies.Len() < 100 || bodies.Index(0).FieldByName("Body").Len() > 0 {
		t.Errorf("the bodies of %d functions are in memory", bodies.Len())
	}
	if m := v.source.modules[0]; m.wasm != nil || m.file == nil || v.source.size() < 1<<20 {
		t.Errorf("the module is in memory, or has no size: %d", v.source.size())
	}

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Input: []byte("hello")}, nil); err != nil || string(res.Output) != "HELLO" {
					t.Errorf("%q, %v", res.Output, err)
				}
			}
		})
	}
	for range 10 {
		if err := h.pageOut(code); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()

	if _, err := h.Swap(t.Context(), "p", Source{Wasm: rust}); err != nil {
		t.Fatal(err)
	}
	back, err := h.Rollback(t.Context(), "p")
	if err != nil || back.Digest != v.source.digest || back.Size != v.source.size() {
		t.Errorf("%+v, %v", back, err)
	}
	if res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Input: []byte("again")}, nil); err != nil || string(res.Output) != "AGAIN" {
		t.Errorf("%q, %v", res.Output, err)
	}
	if m := h.plugins["p"].current.source.modules[0]; m.wasm != nil {
		t.Error("after the rollback the module is in memory")
	}
}

// mappingOf is the line of /proc/self/maps about where code is.
func mappingOf(t *testing.T, code []byte) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	start := fmt.Sprintf("%x-", uintptr(unsafe.Pointer(&code[0])))
	for line := range strings.Lines(string(maps)) {
		if strings.HasPrefix(line, start) {
			return line
		}
	}
	return "no mapping at " + start
}
