package wasm_test

import (
	"os"
	"reflect"
	"testing"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// look looks at everything that Survey's module promises to have.
func look(m *wasm.Module) {
	m.FuncNames()
	m.Memory()
	for _, e := range m.Exports {
		if e.Kind == wasm.KindFunc {
			_ = m.FuncType(e.Index).String()
		}
	}
	for _, i := range m.Imports {
		if i.Kind == wasm.KindFunc {
			_ = m.Types[i.TypeIndex].String()
		}
	}
}

// FuzzDecode looks for a panic, and for a module that is another one once it was written and read again.
func FuzzDecode(f *testing.F) {
	for i, file := range specModules(f) {
		if i%23 != 0 {
			continue
		}
		bin, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(bin) < 4096 {
			f.Add(bin)
		}
	}
	f.Fuzz(func(t *testing.T, bin []byte) {
		m, err := wasm.Decode(bin)
		if err != nil {
			part, _, bad := wasm.Survey(bin)
			if bad == nil {
				t.Fatalf("only Decode says %v", err)
			}
			look(part)
			return
		}
		m.FuncNames()
		m.Producers()
		m.Name()
		instrErr := readAll(m)
		m2, err := wasm.Decode(m.Encode())
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		if err := readAll(m2); (err == nil) != (instrErr == nil) {
			t.Fatalf("instructions: %v, written again %v", instrErr, err)
		}
		forget(m)
		forget(m2)
		if !reflect.DeepEqual(m, m2) {
			t.Fatal("another module when written again")
		}
	})
}
