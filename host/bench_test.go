package host_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

func benchmarkRun(b *testing.B, wasm []byte, function string, input []byte) {
	h := newHost(b, host.Config{})
	reuse := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{Isolation: abi.IsolationReuse}}
	if _, err := h.Swap(b.Context(), "p", host.Source{Wasm: wasm, Manifest: reuse}); err != nil {
		b.Fatal(err)
	}
	call := abi.Call{Plugin: "p", Function: function, Input: input}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Run(b.Context(), call, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunVowels(b *testing.B) {
	benchmarkRun(b, read(b, goSDK(b), "count_vowels.wasm"), "count_vowels", []byte("hello world, this is a vowel test"))
}

func BenchmarkRunNoop(b *testing.B) {
	benchmarkRun(b, read(b, testdata(b), "guests", "noop.wasm"), "", nil)
}

func BenchmarkRunEcho(b *testing.B) {
	benchmarkRun(b, read(b, testdata(b), "guests", "echo.wasm"), "", bytes.Repeat([]byte("x"), 1<<20))
}

// testdata is the folder of the test plugins that `make plugins` builds.
func testdata(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../build/testdata")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
