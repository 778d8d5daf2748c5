package host_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// TestExamineTellsWhatAHostTells: of every plugin that loads.
func TestExamineTellsWhatAHostTells(t *testing.T) {
	for _, dir := range []string{testdata(t), filepath.Join(testdata(t), "guests"), goSDK(t)} {
		h := newHost(t, host.Config{Dir: dir, WatchInterval: -1})
		for _, want := range h.Plugins() {
			src, err := host.ReadSource(dir, want.Name, 64<<20)
			if err != nil {
				continue // refused, and nothing to look at
			}
			got := host.Examine(src, 3)
			if want.State == host.StateRefused {
				continue
			}
			if got.State != host.StateReady || got.Form != want.Form || got.Toolchain != want.Toolchain || got.Default != want.Default ||
				got.Sandbox != want.Sandbox || got.Digest != want.Digest || got.Size != want.Size || got.Isolation != want.Isolation ||
				!reflect.DeepEqual(got.Functions, want.Functions) || !slices.Equal(got.Imports, want.Imports) || got.Limits != want.Limits {
				t.Errorf("%s:\n got %+v\nwant %+v", want.Name, got, want)
			}
			for _, m := range got.Modules {
				sections := int64(8)
				for _, s := range m.Sections {
					sections += s.Size
				}
				if len(m.Code) > 3 || m.Error != "" || sections > m.Size || m.Size > sections+int64(len(m.Sections))*300 || m.CodeBytes > sections {
					t.Errorf("%s: module %+v", want.Name, m)
				}
				for _, i := range m.Imports {
					if i.State == abi.ImportUnknown {
						t.Errorf("%s: import %+v", want.Name, i)
					}
				}
			}
		}
	}
}

func TestExamineOfAModulesParts(t *testing.T) {
	p := host.Examine(host.Source{Wasm: guest(t, "signatures"), Path: "x.wasm"}, 100)
	m := p.Modules[0]
	for _, e := range m.Exports {
		callable := slices.ContainsFunc(p.Functions, func(f host.FunctionInfo) bool { return f.Name == e.Name })
		if e.Callable != callable || callable == (e.Why != "") {
			t.Errorf("export %+v; it is a function: %v", e, callable)
		}
	}
	if m.Functions != len(m.Code) || !slices.IsSortedFunc(m.Code, func(a, b abi.FunctionBytes) int { return int(b.Size - a.Size) }) {
		t.Errorf("code %+v", m.Code)
	}
	rust := host.Examine(host.Source{Wasm: read(t, goSDK(t), "count_vowels.wasm")}, 20).Modules[0]
	if len(rust.Code) != 20 || !rust.DWARF || !rust.Names || rust.Memory == nil || rust.Memory.Min == 0 || len(rust.Tables) != 1 {
		t.Errorf("%+v", rust)
	}
	if !slices.ContainsFunc(rust.Code, func(c abi.FunctionBytes) bool {
		return strings.Contains(c.Name, "::") && !strings.Contains(c.Name, "$")
	}) {
		t.Errorf("no readable name among %v", rust.Code)
	}
	table := host.Examine(host.Source{Wasm: guest(t, "secrets-table")}, 0).Modules[0]
	if len(table.NotPristine) == 0 || len(table.Code) != 0 {
		t.Errorf("%+v", table)
	}
	data, err := json.Marshal(p)
	var back host.PluginInfo
	if err != nil || json.Unmarshal(data, &back) != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("JSON: %v\n%s", err, data)
	}
}

// state finds an import.
func state(t *testing.T, m abi.ModuleInfo, name string) abi.ImportInfo {
	t.Helper()
	for _, i := range m.Imports {
		if i.Name == name {
			return i
		}
	}
	t.Fatalf("no import %s in %+v", name, m.Imports)
	return abi.ImportInfo{}
}

func TestExamineTellsWhatBecomesOfImports(t *testing.T) {
	env := host.Source{Wasm: guest(t, "env")}
	if i := state(t, host.Examine(env, 0).Modules[0], "http_request"); i.State != abi.ImportDenied || !strings.Contains(i.Why, "allowed_hosts") {
		t.Errorf("%+v", i)
	}
	env.Manifest = manifest(t, `{"allowed_hosts": ["example.com"], "memory": {"max_var_bytes": 0}}`)
	m := host.Examine(env, 0).Modules[0]
	if i := state(t, m, "http_request"); i.State != abi.ImportGranted || i.Why != "" {
		t.Errorf("%+v", i)
	}
	if i := state(t, m, "var_set"); i.State != abi.ImportDenied {
		t.Errorf("%+v", i)
	}
	if i := state(t, host.Examine(host.Source{Wasm: built(t, "files-c.wasm")}, 0).Modules[0], "path_open"); i.State != abi.ImportDenied {
		t.Errorf("%+v", i)
	}
	i32, i64 := wasm.I32, wasm.I64
	for _, c := range []struct {
		module, name    string
		params, results []wasm.ValType
		why             string
	}{
		{"extism:host/env", "input_lengt", nil, []wasm.ValType{i64}, "did you mean input_length?"},
		{"extism:host/env", "taskhost_cancelled", nil, []wasm.ValType{i32}, "it is a function of extism:host/user"},
		{"env", "input_length", nil, []wasm.ValType{i64}, "it is a function of extism:host/env"},
		{"extism:host/env", "alloc", []wasm.ValType{i32}, []wasm.ValType{i32}, "it has (i64) -> (i64)"},
		{"wasi_snapshot_preview1", "fd_writ", nil, []wasm.ValType{i32}, "did you mean fd_write?"},
		{"wasi_snapshot_preview1", "fd_write", nil, []wasm.ValType{i32}, "with the signature"},
		{"extism:host/usr", "x", nil, nil, "did you mean extism:host/user?"},
		{"something_else", "x", nil, nil, "which nobody provides: there are"},
	} {
		m := &wasm.Module{
			Types:   []wasm.FuncType{{Params: c.params, Results: c.results}, {}},
			Imports: []wasm.Import{{Module: c.module, Name: c.name, Kind: wasm.KindFunc}},
			Funcs:   []uint32{1},
			Exports: []wasm.Export{{Name: "process", Kind: wasm.KindFunc, Index: 1}},
			Codes:   []wasm.Code{{Body: []byte{0x0b}}},
		}
		p := host.Examine(host.Source{Wasm: m.Encode()}, 5)
		i := p.Modules[0].Imports[0]
		if i.State != abi.ImportUnknown || !strings.Contains(i.Why, c.why) {
			t.Errorf("%+v", i)
		}
		if c.module != abi.ModuleWASI && (p.State != host.StateRefused || p.Error == "") { // of WASI the engine says it
			t.Errorf("%s.%s: %s", c.module, c.name, p.State)
		}
		if len(p.Functions) != 1 || p.Functions[0].Name != "process" {
			t.Errorf("%s.%s: functions %v", c.module, c.name, p.Functions)
		}
	}
}

// TestWhatIsRefusedIsExaminedAsFarAsItGoes: every file that a host refuses, and every beginning of one that it takes.
func TestWhatIsRefusedIsExaminedAsFarAsItGoes(t *testing.T) {
	for _, dir := range []string{"broken", filepath.Join("hostile", "load")} {
		files, err := filepath.Glob(filepath.Join(testdata(t), dir, "*.wasm"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			src, err := host.ReadFile(file, 64<<20)
			if err != nil {
				t.Fatal(err)
			}
			if p := host.Examine(src, 5); (p.State == host.StateRefused) != (p.Error != "") || len(p.Modules) == 0 {
				t.Errorf("%s: %+v", file, p)
			}
		}
	}
	whole := guest(t, "env")
	full := host.Examine(host.Source{Wasm: whole}, 5)
	for n := range whole {
		p := host.Examine(host.Source{Wasm: whole[:n]}, 5)
		if p.State != host.StateRefused && n > len(whole)*3/4 { // it ends with custom sections
			continue
		}
		if p.State != host.StateRefused || p.Error == "" {
			t.Fatalf("the first %d of %d bytes are %s", n, len(whole), p.State)
		}
		if n > len(whole)/2 && len(p.Modules[0].Imports) != len(full.Modules[0].Imports) {
			t.Fatalf("the first %d of %d bytes have %d imports", n, len(whole), len(p.Modules[0].Imports))
		}
	}
}

func TestReadFileTakesTheManifestBesideTheModule(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "my plugin.wasm")
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := host.ReadFile(file, 1<<20); err == nil {
		t.Error("a file that is not there was read")
	}
	write("my plugin.wasm", guest(t, "noop"))
	if src, err := host.ReadFile(file, 1<<20); err != nil || src.Manifest != nil || src.Base != dir {
		t.Errorf("%v %v", src.Manifest, err)
	}
	write("my plugin.json", []byte(`{"config": {"a": "b"}}`))
	if src, err := host.ReadFile(file, 1<<20); err != nil || src.Manifest.Config["a"] != "b" {
		t.Errorf("%v %v", src.Manifest, err)
	}
	write("my plugin.json", []byte(`{"confg": {}}`))
	if src, err := host.ReadFile(file, 1<<20); err == nil || len(src.Wasm) == 0 || src.Manifest != nil {
		t.Errorf("%v %v", src.Manifest, err)
	}
	if _, err := host.ReadFile(file, 10); err == nil || !strings.Contains(err.Error(), "limit of 10") {
		t.Error(err)
	}
}

func ExampleExamine() {
	src, err := host.ReadFile("../build/testdata/upper-c.wasm", 64<<20)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := host.Examine(src, 3)
	fmt.Println(p.State, p.Form, p.Default)
	for _, i := range p.Modules[0].Imports {
		if i.Module == abi.ModuleUser {
			fmt.Println(i.State, i.Name)
		}
	}
	// Output:
	// ready extism process
	// granted taskhost_read
	// granted taskhost_progress
	// granted taskhost_write
	// granted taskhost_invalid_input
}
