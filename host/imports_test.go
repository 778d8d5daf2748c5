package host_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// importing makes a module with one import, "module name", a function of the type () -> () or, with a kind, something else.
func importing(t testing.TB, module, name string, kind wasm.Kind) []byte {
	t.Helper()
	imp := wasm.Import{Module: module, Name: name, Kind: kind}
	imp.Global = wasm.GlobalType{Type: wasm.I32}
	imp.Table.Type = wasm.Funcref
	m := wasm.Module{Types: []wasm.FuncType{{}}, Imports: []wasm.Import{imp}}
	return m.Encode()
}

// TestImportsSayWhatWasMeant checks what authors read when an import is not there, for what toolchains of other systems leave in modules
// and for what people mistype.
func TestImportsSayWhatWasMeant(t *testing.T) {
	for _, c := range []struct {
		module, name string
		kind         wasm.Kind
		want         []string
	}{
		{"env", "taskhost_progress", 0, []string{"extism:host/user", "Go taskhost.Progress", "Rust taskhost::progress", "C taskhost_progress", "AssemblyScript progress"}},
		{"extism:host/env", "taskhost_progress", 0, []string{"it is a function of extism:host/user"}},
		{"extism:host/user", "taskhost_progres", 0, []string{"did you mean taskhost_progress?"}},
		{"extism:host/user", "progress", 0, []string{"it is taskhost_progress of extism:host/user"}},
		{"extism:host/user", "log_info", 0, []string{"it is a function of extism:host/env"}},
		{"extism:host/user", "my_embedders_function", 0, []string{"embeds Extism", "taskhost_cancelled"}},
		{"env", "extism_log_info", 0, []string{"it is log_info of extism:host/env"}},
		{"extism:host/env", "input_lengt", 0, []string{"did you mean input_length?"}},
		{"taskhost", "taskhost_cancelled", 0, []string{"it is a function of extism:host/user"}},
		{"env", "fd_write", 0, []string{"it is a function of wasi_snapshot_preview1"}},
		{"wasi_snapshot_preview1", "fd_wirte", 0, []string{"did you mean fd_write?"}},
		{"wasi_snapshot_preview1", "sock_open", 0, []string{"no such function"}},
		{"wasi_snapshot_preview1", "fd_write", 0, []string{"with the signature () -> (); it has (i32, i32, i32, i32) -> (i32)"}},
		{"extism:host/user", "taskhost_progress", 0, []string{"() -> (); it has (i32, i32, f64, i64) -> ()",
			"taskhost_progress(step i32, total i32, fraction f64, message i64): in Go taskhost.Progress, in Rust taskhost::progress"}},
		{"extism:host/env", "alloc", 0, []string{"64 bits in every guest"}},
		{"extism:host/env", "alloc", wasm.KindGlobal, []string{"has no global", "functions alone"}},
		{"wasi_unstable", "fd_write", 0, []string{"preview 0"}},
		{"wasi:cli/environment@0.2.0", "get-environment", 0, []string{"preview 2", "wasm32-wasip1"}},
		{"wasi", "thread-spawn", 0, []string{"-pthread"}},
		{"wasi_nn", "load", 0, []string{"wasi_snapshot_preview1 alone"}},
		{"wasix_32v1", "futex_wait", 0, []string{"WASIX"}},
		{"gojs", "runtime.wasmExit", 0, []string{"GOOS=wasip1"}},
		{"go", "debug", 0, []string{"GOOS=wasip1"}},
		{"__wbindgen_placeholder__", "__wbindgen_throw", 0, []string{"wasm-bindgen", "wasm32-unknown-unknown"}},
		{"./upper_bg.js", "__wbg_log_1", 0, []string{"wasm-bindgen"}},
		{"env", "emscripten_resize_heap", 0, []string{"Emscripten", "STANDALONE_WASM"}},
		{"a", "b", 0, []string{"Emscripten"}},
		{"env", "abort", 0, []string{"--use abort="}},
		{"env", "seed", 0, []string{"--use seed="}},
		{"env", "console.log", 0, []string{"AssemblyScript"}},
		{"env", "__main_argc_argv", 0, []string{"no main function", "-mexec-model=reactor"}},
		{"env", "memory", wasm.KindMemory, []string{"--import-memory"}},
		{"env", "__stack_pointer", wasm.KindGlobal, []string{"dynamic library"}},
		{"GOT.func", "f", wasm.KindGlobal, []string{"-fPIC"}},
		{"env", "__cxa_throw", 0, []string{"-fno-exceptions"}},
		{"env", "_ZN5shape4areaEi", 0, []string{"shape::area", `extern "C"`}},
		{"env", "helper_of_mine", 0, []string{"declared and defined nowhere", "import_module"}},
		{"javy_quickjs_provider_v3", "eval", 0, []string{"-C dynamic"}},
		{"somewhere", "else\nwhere\x1b[31m", 0, []string{"which nobody provides", "the manifest's wasm list"}},
	} {
		list, err := host.ImportProblems(importing(t, c.module, c.name, c.kind))
		if err != nil || len(list) != 1 {
			t.Errorf("%s %s: %v, %v", c.module, c.name, list, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(list[0], want) {
				t.Errorf("%s %s: the problem lacks %q: %s", c.module, c.name, want, list[0])
			}
		}
		if strings.ContainsAny(list[0], "\n\x1b") {
			t.Errorf("%s %s: the problem is no clean line: %q", c.module, c.name, list[0])
		}
	}
	for _, name := range []string{"upper-go", "upper-c", "upper-rust", "upper-as", "filter-go", "extism-go"} {
		list, err := host.ImportProblems(built(t, name+".wasm"))
		if err != nil || len(list) == 0 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
		for _, i := range list {
			if i != "" {
				t.Errorf("%s: %s", name, i)
			}
		}
	}
}

// TestWASITableIsTheEngines fails when an update of the engine changes WASI.
func TestWASITableIsTheEngines(t *testing.T) {
	if diff := newHost(t, host.Config{}).WASIMismatch(); len(diff) > 0 {
		t.Errorf("wasifunctions.go differs from the engine: %q", diff)
	}
}

// TestRefusalCountsImports checks that a module with many imports that are not there is refused with the first and their number.
func TestRefusalCountsImports(t *testing.T) {
	m := wasm.Module{Types: []wasm.FuncType{{}}}
	for range 12 {
		m.Imports = append(m.Imports, wasm.Import{Module: "gojs", Name: "runtime.wasmExit"})
	}
	h := newHost(t, host.Config{})
	_, err := h.Swap(t.Context(), "p", host.Source{Wasm: m.Encode()})
	wantCode(t, err, abi.CodeRefused, "GOOS=wasip1", "(11 more imports are not there)")
}

// TestWordsOfFunctionsAreDocumented holds the table of names in the documentation to that of the messages, both ways.
func TestWordsOfFunctionsAreDocumented(t *testing.T) {
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `taskhost\\.([\\w]+)` \\| `taskhost::([\\w!:]+)` \\| `(\\w+)` \\| `(\\w+)` \\|$").
		FindAllStringSubmatch(string(read(t, "..", "docs", "guest-functions.md")), -1) {
		rows[row[1]] = strings.Join(row[2:], " ")
	}
	words := host.Words()
	for name, want := range words {
		if rows[name] != want {
			t.Errorf("docs/guest-functions.md has %q for %s, the messages have %q", rows[name], name, want)
		}
	}
	for f := range host.HostSignatures() {
		if name, ok := strings.CutPrefix(f, abi.ModuleUser+"."); ok && words[name] == "" {
			t.Errorf("%s has no names in the SDKs", f)
		}
	}
	for name := range rows {
		if words[name] == "" {
			t.Errorf("docs/guest-functions.md has names for %s, the messages have none", name)
		}
	}
}
