package instrument_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// TestCutIsPartOfRewrite checks on real plugins that functions which are cut out have the very code that they have in the whole, that every
// place in them comes from an instruction of the same function of the original, and that the others trap.
func TestCutIsPartOfRewrite(t *testing.T) {
	for _, name := range []string{"trap-c", "trap-rust", "kernels", "upper-go", "upper-as", "filter-c"} {
		bin, err := os.ReadFile(filepath.Join("..", "..", "..", "build", "testdata", name+".wasm"))
		if err != nil {
			t.Fatalf("run make plugins: %v", err)
		}
		whole, err := instrument.Rewrite(bytes.Clone(bin), instrument.Config{})
		if err != nil {
			t.Fatal(err)
		}
		original, all := decoded(t, bin), decoded(t, whole.Wasm)
		imports := original.ImportCount(wasm.KindFunc)
		var funcs []uint32
		for i := range original.Codes {
			if i%(1+len(original.Codes)/40) == 0 {
				funcs = append(funcs, uint32(imports+i))
			}
		}
		x, err := instrument.Cut(bytes.Clone(bin), instrument.Config{}, append(funcs, 0, 1<<30))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		part := decoded(t, x.Wasm)
		if len(part.Codes) != len(all.Codes) {
			t.Fatalf("%s: %d functions, want %d", name, len(part.Codes), len(all.Codes))
		}
		cut := map[int]bool{}
		for _, f := range funcs {
			i := int(f) - imports
			cut[i] = true
			if !bytes.Equal(part.Codes[i].Body, all.Codes[i].Body) {
				t.Errorf("%s: function %d has other code than in the whole", name, f)
			}
			starts := map[uint32]bool{}
			r := original.Instrs(i, nil)
			for in := r.Next(); in != nil; in = r.Next() {
				starts[uint32(original.Codes[i].Offset-original.CodeStart+in.Start)] = true
			}
			known := 0
			r = part.Instrs(i, nil)
			for in := r.Next(); in != nil; in = r.Next() {
				origin, ok := x.Origin(uint32(part.Codes[i].Offset - part.CodeStart + in.Start))
				if ok {
					known++
				}
				if ok && !starts[origin] {
					t.Errorf("%s: function %d: a place comes from %#x, where no instruction of it is", name, f, origin)
				}
			}
			if known == 0 {
				t.Errorf("%s: function %d: no place is known", name, f)
			}
		}
		for i := range original.Codes {
			if !cut[i] && len(part.Codes[i].Body) != 2 {
				t.Errorf("%s: function %d has code", name, imports+i)
			}
		}
	}
}

func decoded(t *testing.T, bin []byte) *wasm.Module {
	t.Helper()
	m, err := wasm.Decode(bin)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
