package host_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// allStubs are the stubs of testdata/stubs/wants.wat, as PluginInfo has them.
var allStubs = []string{
	"a.b.c.d e", "env.floats", "env.ints", "env.references", "env.same", "env.several", "env.vectors",
	"extism:host/env.later", "extism:host/user.taskhost_later", "wasi_snapshot_preview1.sock_later",
}

const stubAll = `"env.*", "*later", "a.b.c.d e"`

// TestStubs checks that a module which imports what nobody provides loads when its manifest says so, works as long as it calls none of it,
// and else fails with the name of what it called: with every kind of signature, and however its sandbox is made.
func TestStubs(t *testing.T) {
	wants := built(t, "stubs", "wants.wasm")
	h := newHost(t, host.Config{})
	for _, isolation := range []string{"pristine", "fresh"} {
		name := "wants-" + isolation
		swapTo(t, h, name, wants, `{"taskhost": {"isolation": "`+isolation+`", "stub_imports": [`+stubAll+`]}}`)
		i := info(t, h, name)
		if !slices.Equal(i.StubbedImports, allStubs) || !slices.Contains(i.Imports, "env.ints") || !slices.Contains(i.Imports, "extism:host/env.input_length") {
			t.Errorf("stubbed %q of the imports %q", i.StubbedImports, i.Imports)
		}
		for _, c := range []struct{ function, module, name string }{
			{"ints", "env", "ints"}, {"floats", "env", "floats"}, {"vectors", "env", "vectors"}, {"references", "env", "references"},
			{"several", "env", "several"}, {"same", "env", "same"}, {"same_again", "env", "same"}, {"indirect", "env", "ints"},
			{"later", "extism:host/env", "later"}, {"taskhost_later", "extism:host/user", "taskhost_later"},
			{"sock_later", "wasi_snapshot_preview1", "sock_later"}, {"dots", "a.b", "c.d e"},
		} {
			run(t, h, name+":fine", "") // it is as good as new, also after a call that a stub has ended
			e := fails(t, h, name+":"+c.function, "", abi.CodeDenied)
			wantCode(t, e, abi.CodeDenied, `"`+c.name+`"`, `"`+c.module+`"`, "nobody provides", "taskhost.stub_imports")
		}
		if e := fails(t, h, name+":length", "four", abi.CodeFailed); e.Exit != 4 { // a function that is there is the one that is there
			t.Errorf("a function of the host gives %d", e.Exit)
		}
	}
	if got := info(t, h, "wants-pristine"); !strings.Contains(got.Sandbox, "put back") {
		t.Errorf("the sandbox: %s", got.Sandbox)
	}
	// In an instance that serves one call after another, a stub's call is the last.
	swapTo(t, h, "wants-reuse", wants, `{"taskhost": {"isolation": "reuse", "max_instances": 1, "stub_imports": ["*"]}}`)
	run(t, h, "wants-reuse:fine", "")
	if e := fails(t, h, "wants-reuse:fine", "", abi.CodeFailed); e.Exit != 3 {
		t.Errorf("the second call finds %d", e.Exit)
	}
	fails(t, h, "wants-reuse:ints", "", abi.CodeDenied)
	run(t, h, "wants-reuse:fine", "")
}

// TestStubsThatCannotBe checks what is refused: what the patterns leave out, what is no function, and a module that needs a stub to start.
func TestStubsThatCannotBe(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, c := range []struct {
		file, manifest string
		code           abi.Code
		want           []string
	}{
		{"stubs/wants", ``, abi.CodeRefused, []string{`"ints"`, `module "env"`, "nobody provides"}},
		{"stubs/wants", `{"taskhost": {"stub_imports": ["env.*"]}}`, abi.CodeRefused, []string{`"later"`, "no such function"}},
		{"stubs/wants-memory", `{"taskhost": {"stub_imports": ["*"]}}`, abi.CodeRefused, []string{"the memory", `"memory"`, `"env"`, "functions alone"}},
		{"stubs/wants-table", `{"taskhost": {"stub_imports": ["env.table"]}}`, abi.CodeRefused, []string{"the table", "functions alone"}},
		{"stubs/wants-global", `{"taskhost": {"stub_imports": ["env.*"]}}`, abi.CodeRefused, []string{"the global", "functions alone"}},
		{"stubs/starts", `{"taskhost": {"stub_imports": ["env.setup"]}}`, abi.CodeDenied, []string{"while it starts", `"setup"`, "nobody provides"}},
		{"broken/mistyped-import", `{"taskhost": {"stub_imports": ["*"]}}`, abi.CodeRefused, []string{`"alloc"`, "(i32) -> (i32)"}},
	} {
		src := host.Source{Wasm: built(t, c.file+".wasm")}
		if c.manifest != "" {
			src.Manifest = manifest(t, c.manifest)
		}
		_, err := h.Swap(t.Context(), "plugin", src)
		wantCode(t, err, c.code, c.want...)
	}
	for _, entry := range []string{"", "env", strings.Repeat("x", 600) + ".y"} {
		_, err := host.ParseManifest("p.json", []byte(`{"taskhost": {"stub_imports": ["`+entry+`"]}}`))
		wantCode(t, err, abi.CodeInvalid, "taskhost.stub_imports", "MODULE.NAME")
	}
	_, err := host.ParseManifest("p.json", []byte(`{"taskhost": {"stub_imports": ["*.x"`+strings.Repeat(`,"*.x"`, 100)+`]}}`))
	wantCode(t, err, abi.CodeInvalid, "taskhost.stub_imports", "100")
}

// TestStubsBesideModules checks that a module of the manifest provides what it has, stubs what it has not, and may need some itself; and
// that what is compiled once is found again by the next host.
func TestStubsBesideModules(t *testing.T) {
	dir := filepath.Join(testdata(t), "stubs")
	m := manifest(t, `{"wasm": [{"name": "env", "path": "provides.wasm"}, {"name": "main", "path": "wants.wasm"}],
		"taskhost": {"stub_imports": ["*"]}}`)
	cache := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		h := newHost(t, host.Config{CacheDir: cache})
		if _, err := h.Swap(t.Context(), "both", host.Source{Manifest: m, Base: dir}); err != nil {
			t.Fatal(err)
		}
		i := info(t, h, "both")
		want := append(slices.DeleteFunc(slices.Clone(allStubs), func(s string) bool { return s == "env.ints" }), "deep.down")
		slices.Sort(want)
		if !slices.Equal(i.StubbedImports, want) || !strings.Contains(i.Sandbox, "put back") {
			t.Errorf("stubbed %q, %s", i.StubbedImports, i.Sandbox)
		}
		run(t, h, "both:ints", "")
		e := fails(t, h, "both:floats", "", abi.CodeDenied)
		wantCode(t, e, abi.CodeDenied, `"floats"`)
		run(t, h, "both:fine", "")
	}
}

// embedderFunctions are what the plugins of Extism's Go SDK want of their embedder, as one writes them in Go.
func embedderFunctions() []extism.HostFunction {
	pointer := []extism.ValueType{extism.ValueTypePTR}
	text := func(name string, change func(string) string) extism.HostFunction {
		return extism.NewHostFunctionWithStack(name, func(_ context.Context, p *extism.CurrentPlugin, stack []uint64) {
			s, err := p.ReadString(stack[0])
			if err == nil {
				stack[0], err = p.WriteString(change(s))
			}
			if err != nil {
				panic(err)
			}
		}, pointer, pointer)
	}
	upper := text("to_upper", strings.ToUpper)
	upper.SetNamespace("host")
	return []extism.HostFunction{
		upper,
		greenMessage(),
		text("hostPurpleMessage", func(s string) string { return "🟣:" + s }),
		extism.NewHostFunctionWithStack("mult", func(_ context.Context, _ *extism.CurrentPlugin, stack []uint64) { stack[0] *= stack[1] },
			append(pointer, pointer...), pointer),
	}
}

// TestEmbedderFunctions runs the plugins of Extism's Go SDK that want functions of their embedder: there with functions in Go, here with
// modules that export them, which gives the same; and with stubs, which loads them and says what they called.
func TestEmbedderFunctions(t *testing.T) {
	sdk := goSDK(t)
	cache, err := wazero.NewCompilationCacheWithDir("../build/cache/oracle")
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close(context.Background())
	h := newHost(t, host.Config{})
	for _, c := range []struct {
		file, function, input string
		module, provider      string
		called                string
	}{
		{"host", "run_test", "", abi.ModuleUser, "user", "mult"},
		{"host_memory", "run_test", "Frodo", "host", "upper", "to_upper"},
		{"host_multiple", "say_green", "John Doe", abi.ModuleUser, "user", "hostGreenMessage"},
		{"host_multiple", "say_purple", "Jane Doe", abi.ModuleUser, "user", "hostPurpleMessage"},
	} {
		plugin := filepath.Join(sdk, c.file+".wasm")
		p, err := extism.NewPlugin(t.Context(), extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: plugin}}}, extism.PluginConfig{
			EnableWasi: true, RuntimeConfig: wazero.NewRuntimeConfig().WithCompilationCache(cache),
		}, embedderFunctions())
		if err != nil {
			t.Fatal(err)
		}
		_, want, err := p.Call(c.function, []byte(c.input))
		if err != nil {
			t.Fatal(err)
		}
		p.Close(t.Context())

		provided := &abi.Manifest{Wasm: []abi.ManifestWasm{
			{Name: c.module, Path: filepath.Join(testdata(t), "embedder", c.provider+".wasm")},
			{Name: "main", Path: plugin},
		}}
		if _, err := h.Swap(t.Context(), c.file, host.Source{Manifest: provided}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := run(t, h, c.file+":"+c.function, c.input); got != string(want) {
				t.Errorf("%s:%s gives %q, the oracle %q", c.file, c.function, got, want)
			}
		}
		swapTo(t, h, c.file, read(t, plugin), `{"taskhost": {"stub_imports": ["`+c.module+`.*"]}}`)
		e := fails(t, h, c.file+":"+c.function, c.input, abi.CodeDenied)
		wantCode(t, e, abi.CodeDenied, `"`+c.called+`"`, `"`+c.module+`"`)
	}
	// The functions of taskhost are there beside those of a module of the same name.
	provided := &abi.Manifest{Wasm: []abi.ManifestWasm{
		{Name: abi.ModuleUser, Path: filepath.Join(testdata(t), "embedder", "user.wasm")},
		{Name: "main", Data: guest(t, "progress")},
	}}
	if _, err := h.Swap(t.Context(), "progress", host.Source{Manifest: provided}); err != nil {
		t.Error(err)
	}
}
