package host_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// goSDK is the folder of ready plugins in the module of Extism's Go SDK: the oracle's own.
func goSDK(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatalf("finding Extism's Go SDK: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "wasm")
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// oracleCase is one plugin of the SDK's folder with the calls that are compared.
type oracleCase struct {
	file     string
	libs     []string // further modules, by the names that the plugin imports
	manifest abi.Manifest
	calls    []oracleCall
	// skip is the reason why the plugin cannot be compared.
	skip string
}

type oracleCall struct {
	function string
	input    string
}

func call(function string, inputs ...string) (calls []oracleCall) {
	for _, in := range inputs {
		calls = append(calls, oracleCall{function: function, input: in})
	}
	return calls
}

var texts = []string{"", "a", "Hello, World!", "1234567", "12345678", "123456789", strings.Repeat("extism and taskhost ", 5000), "grüße, 世界", "\x00\xff\xfe"}

// folder stands for a folder of each side's own in a case's allowed paths.
const folder = "FOLDER"

func oracleCases(server string) []oracleCase {
	config := abi.Manifest{Config: map[string]string{"thing": "hello", "vowels": "aeiouyAEIOUY"}}
	needsHostFunctions := "it imports functions that its embedder is to define"
	return []oracleCase{
		{file: "alloc", calls: call("run_test", "", "x")},
		{file: "config", manifest: config, calls: call("run_test", "")},
		{file: "count_vowels", manifest: config, calls: call("count_vowels", texts...)},
		{file: "count_vowels_std", calls: call("_start", texts[1:7]...)},
		{file: "exit", manifest: abi.Manifest{Config: map[string]string{"code": "0"}}, calls: call("_start", "")},
		{file: "exit", manifest: abi.Manifest{Config: map[string]string{"code": "2"}}, calls: call("_start", "")},
		{file: "fail", calls: call("run_test", "", "x")},
		{file: "fs", manifest: abi.Manifest{AllowedPaths: map[string]string{folder: "/mnt"}}, calls: call("run_test", "")},
		{file: "fs_std", manifest: abi.Manifest{AllowedPaths: map[string]string{folder: "/mnt"}}, calls: call("run_test", "")},
		{file: "hello", calls: call("run_test", "", "x")},
		{file: "hello_haskell", manifest: abi.Manifest{Config: map[string]string{"greeting": "Howdy"}}, calls: call("testing", "", "John", texts[6])},
		{file: "host", skip: needsHostFunctions},
		{file: "host_memory", skip: needsHostFunctions},
		{file: "host_multiple", skip: needsHostFunctions},
		{file: "http", skip: "its address is built in and lies outside of the machine"},
		{file: "http_headers", manifest: abi.Manifest{AllowedHosts: []string{"127.0.0.1"}}, calls: call("http_get", `{"url":"`+server+`/x"}`)},
		{file: "input_offset", calls: call("input_offset_length", texts...)},
		{file: "lib", calls: nil, skip: "it is the library of main"},
		{file: "log", calls: call("run_test", "")},
		{file: "main", libs: []string{"lib"}, calls: call("run_test", texts[1:7]...)},
		{file: "nested.c.instr", skip: "it was instrumented for an observability adapter, whose functions it imports"},
		{file: "noop", calls: call("run_test", texts...)},
		{file: "println", calls: call("run_test", texts...)},
		{file: "read_write", manifest: abi.Manifest{AllowedPaths: map[string]string{folder: "/data"}, Config: map[string]string{"path": "/data/test.txt"}},
			calls: append(call("try_read", ""), call("try_write", "hello", "more")...)},
		{file: "replace", calls: call("run_test", texts[1:7]...)},
		{file: "sleep", manifest: abi.Manifest{Config: map[string]string{"duration": "0"}}, calls: call("run_test", "")},
		{file: "std_command", calls: call("_start", texts[1:7]...)},
		{file: "var", calls: call("run_test", "", "x")},
	}
}

// answer is a server that tells what was asked.
func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Test", "one")
	w.Header()["Date"] = nil
	_, _ = w.Write([]byte(`{"hello":"from ` + r.Method + " " + r.URL.Path + `"}`))
}

// TestOracle runs every plugin of Extism's Go SDK through the SDK and through this host and compares outputs, errors and codes.
func TestOracle(t *testing.T) {
	sdk := goSDK(t)
	server := httptest.NewServer(http.HandlerFunc(answer))
	defer server.Close()
	cache, err := wazero.NewCompilationCacheWithDir("../build/cache/oracle")
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close(context.Background())
	h := newHost(t, host.Config{})
	seen := map[string]bool{}
	for _, c := range oracleCases(server.URL) {
		seen[c.file+".wasm"] = true
		if c.skip != "" {
			continue
		}
		t.Run(c.file, func(t *testing.T) { compareWithOracle(t, h, sdk, cache, c) })
	}
	files, err := os.ReadDir(sdk)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			t.Errorf("%s is neither compared nor excused", f.Name())
		}
	}
}

func compareWithOracle(t *testing.T, h *host.Host, sdk string, cache wazero.CompilationCache, c oracleCase) {
	ctx := t.Context()
	theirs := extism.Manifest{
		Config: c.manifest.Config, AllowedHosts: c.manifest.AllowedHosts, AllowedPaths: ownFolder(t, c.manifest.AllowedPaths),
		Memory: &extism.ManifestMemory{MaxHttpResponseBytes: -1, MaxVarBytes: -1},
	}
	ours := c.manifest
	ours.AllowedPaths = ownFolder(t, c.manifest.AllowedPaths)
	for _, lib := range c.libs {
		theirs.Wasm = append(theirs.Wasm, extism.WasmData{Name: lib, Data: read(t, sdk, lib+".wasm")})
		ours.Wasm = append(ours.Wasm, abi.ManifestWasm{Name: lib, Path: filepath.Join(sdk, lib+".wasm")})
	}
	theirs.Wasm = append(theirs.Wasm, extism.WasmData{Name: "main", Data: read(t, sdk, c.file+".wasm")})
	ours.Wasm = append(ours.Wasm, abi.ManifestWasm{Name: "main", Path: filepath.Join(sdk, c.file+".wasm")})
	compiled, err := extism.NewCompiledPlugin(ctx, theirs, extism.PluginConfig{
		EnableWasi: true, EnableHttpResponseHeaders: true,
		RuntimeConfig: wazero.NewRuntimeConfig().WithCompilationCache(cache),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer compiled.Close(ctx)
	if _, err := h.Swap(ctx, c.file, host.Source{Manifest: &ours}); err != nil {
		t.Fatal(err)
	}
	for _, call := range c.calls {
		p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime()})
		if err != nil {
			t.Fatal(err)
		}
		code, want, wantErr := p.CallWithContext(ctx, call.function, []byte(call.input))
		p.Close(ctx)
		got, gotErr := h.Run(ctx, abi.Call{Plugin: c.file, Function: call.function, Input: []byte(call.input)}, nil)
		in := call.input[:min(len(call.input), 20)]
		if (wantErr != nil || code != 0) != (gotErr != nil) {
			t.Errorf("%s(%q): we say %v, the oracle says %v and code %d", call.function, in, gotErr, wantErr, code)
			continue
		}
		if gotErr != nil {
			e := abi.AsError(gotErr)
			var exit *sys.ExitError
			if errors.As(wantErr, &exit) && e.Exit == exit.ExitCode() {
				continue // the oracle has no message of its own for it
			}
			if wantErr != nil && code != 0 && e.Exit != 0 && e.Message != wantErr.Error() || e.Exit != code && e.Code == abi.CodeFailed {
				t.Errorf("%s(%q): our error is %q with code %d, the oracle's %q with %d", call.function, in, e.Message, e.Exit, wantErr, code)
			}
			continue
		}
		if string(got.Output) != string(want) {
			t.Errorf("%s(%q): %d bytes of output, the oracle has %d: %.80q, %.80q", call.function, in, len(got.Output), len(want), got.Output, want)
		}
	}
}

// ownFolder puts a new folder with a file in the place of the folder in paths.
func ownFolder(t testing.TB, paths map[string]string) map[string]string {
	t.Helper()
	if paths[folder] == "" {
		return nil
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "test.txt"), []byte("hello world!"), 0o644); err != nil {
		t.Fatal(err)
	}
	return map[string]string{dir: paths[folder]}
}

func newHost(t testing.TB, cfg host.Config) *host.Host {
	t.Helper()
	if cfg.CacheDir == "" {
		cfg.CacheDir = testCache
	}
	h, err := host.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}
