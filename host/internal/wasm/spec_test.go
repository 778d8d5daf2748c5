package wasm_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/host/internal/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

const allFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExceptionHandling | experimental.CoreFeaturesThreads |
	experimental.CoreFeaturesTypedFunctionReferences

// specModules are the modules of the WebAssembly core test suite in wazero's module, valid and invalid ones.
func specModules(tb testing.TB) []string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		tb.Fatal(err)
	}
	pattern := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest", "*", "testdata", "*.wasm")
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < 1000 {
		tb.Fatalf("%d modules in %s (%v)", len(files), pattern, err)
	}
	return files
}

// TestSpecModules decodes every module of the suite. What the engine accepts must be decoded, with all its
// instructions, and be the same module after being written again.
func TestSpecModules(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(allFeatures))
	defer r.Close(ctx)
	accepted, same := 0, 0
	for _, file := range specModules(t) {
		name := filepath.Join(filepath.Base(filepath.Dir(filepath.Dir(file))), filepath.Base(file))
		bin, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, engineErr := r.CompileModule(ctx, bin)
		m, err := wasm.Decode(bin)
		if err == nil {
			err = readAll(m)
		}
		if engineErr != nil {
			continue
		}
		c.Close(ctx)
		if err != nil {
			t.Errorf("%s: the engine accepts it: %v", name, err)
			continue
		}
		accepted++
		again := m.Encode()
		if bytes.Equal(again, bin) {
			same++
		}
		m2, err := wasm.Decode(again)
		if err != nil {
			t.Errorf("%s: written again: %v", name, err)
			continue
		}
		forget(m)
		forget(m2)
		if !reflect.DeepEqual(m, m2) {
			t.Errorf("%s: another module when written again", name)
		}
		if c, err := r.CompileModule(ctx, again); err != nil {
			t.Errorf("%s: written again: %v", name, err)
		} else {
			c.Close(ctx)
		}
	}
	t.Logf("%d modules accepted, %d of them written with the same bytes", accepted, same)
}

// readAll reads the instructions of all bodies.
func readAll(m *wasm.Module) error {
	var s *wasm.Instrs
	for i := range m.Codes {
		s = m.Instrs(i, s)
		end := 0
		for in := s.Next(); in != nil; in = s.Next() {
			end = in.End
		}
		if s.Err() != nil {
			return s.Err()
		}
		if end != len(m.Codes[i].Body) {
			panic("instructions end before the body")
		}
	}
	return nil
}

// forget clears what may differ between two binaries of one module.
func forget(m *wasm.Module) {
	m.CodeStart = 0
	for i := range m.Codes {
		m.Codes[i].Offset = 0
	}
	if len(m.Types) == 0 {
		m.Types = nil
	}
	for _, s := range []any{&m.Imports, &m.Funcs, &m.Tables, &m.Memories, &m.Tags, &m.Globals, &m.Exports, &m.Elements,
		&m.Codes, &m.Datas} {
		if v := reflect.ValueOf(s).Elem(); v.Len() == 0 {
			v.SetZero()
		}
	}
	for i := range m.Customs {
		m.Customs[i].Before = 0 // an empty section is not written
	}
}
