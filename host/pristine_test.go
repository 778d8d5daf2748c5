package host_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// pristineCase is a plugin that is called in a sandbox that is put back after each call, and in one that is made for each.
type pristineCase struct {
	manifest abi.Manifest
	inputs   []string // beside random ones
	fuel     int64    // ticks for a call; default: 200,000, and 500 million for programs of megabytes, more than any needs that ends
	instead  string   // part of the reason why it has an instance for each call in any case
	except   []string // functions that are not called, with the reason after a colon
	calls    int      // default: 250, and 40 for programs of megabytes
}

// pristineCases are the plugins of build/plugins, build/testdata and its folders that need more than random inputs.
func pristineCases(server string) map[string]pristineCase {
	request := fmt.Sprintf(`{"url":"%s/x"}`, server)
	local := abi.Manifest{AllowedHosts: []string{"127.0.0.1"}, Config: map[string]string{"key": "value"}}
	config := func(pairs ...string) (m abi.Manifest) {
		m.Config = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m.Config[pairs[i]] = pairs[i+1]
		}
		return m
	}
	json := []string{`{}`, `{"a":[1,2,{"b":null}],"c":"d"}`, `[1,2`}
	small := []string{"0", "1", "7", "300"}
	const long = ": a few ticks of it take seconds"
	return map[string]pristineCase{
		"agent": {except: []string{"count: it tells how long it took"}, manifest: local,
			inputs: []string{request, `{"text":"One is a word. Two is two. Three are more words.","sentences":1}`, `{"verbose":"yes"}`}},
		"markdown": {inputs: []string{"# One *two*\n\n- a\n- b\n\n|a|b|\n|-|-|\n|1|2|\n", "[x](javascript:y) <script>z</script> **b**"}},
		"text":     {inputs: []string{"Some words,\r\nin  lines.\n", "grüße, 世界"}},
		"chunk":    {manifest: config("size", "32", "overlap", "8"), inputs: []string{"# One\n\nA sentence. Another one! 世界。\n\n## Two\n\nMore.\n"}},
		"compress": {manifest: config("format", "zstd"), inputs: []string{"a text, a text, a text", "\x28\xb5\x2f\xfd\x04\x00\x19\x00\x00abc"}},
		"csv":      {manifest: config("columns", "a", "where", "a > 1"), inputs: []string{"a,b\n1,x\n2,\"y\nz\"\n", `[{"a":1}]`}},
		"hash":     {manifest: config("key", "k", "expected", "00"), inputs: []string{"abc"}},
		"html":     {inputs: []string{"<title>x</title><h1>A <b>b</b><p><a href=/y>z</a><script>x</script><table><tr><td>1"}},
		"json":     {manifest: config("query", ".a[]", "schema", `{"required":["a"]}`), inputs: json},
		"redact":   {inputs: []string{"a@b.org 4111 1111 1111 1111 GB82 WEST 1234 5698 7654 32"}},
		"template": {manifest: config("template", "{{range .a}}{{json .}}{{end}}"), inputs: json},

		"files-c":   {inputs: []string{"args\nenv\n", "read /x\nlist /\nwrite /y z\n"}},
		"filter-go": {inputs: json},
		"sdk-go":    {manifest: local, inputs: []string{"key", "set a b\nget a\n", "get a\n", "add n 1\nobserve n 2 l v\n", request}},

		"alloc-flood":    {inputs: small, calls: 50},
		"checkpoint":     {inputs: small},
		"env":            {manifest: local, inputs: []string{"key", "key other", request}},
		"exit":           {inputs: small},
		"fail":           {inputs: small},
		"grow":           {inputs: small},
		"hints":          {except: []string{"quiet: it sleeps", "report: it sleeps", "brief: it sleeps"}, inputs: []string{"1"}},
		"kernel-hostile": {inputs: []string{string(numbers(1024, 8)), string(numbers(1<<32, 1<<40)), string(record(sAlloc, 100, 0))}},
		"kernels":        {calls: 30, fuel: 1_000_000_000},
		"logs":           {inputs: []string{"3 10", "100 1000"}},
		"metrics":        {inputs: []string{"add a 1\nset b 2 {\"l\":\"v\"}\n", "7"}},
		"output":         {inputs: small},
		"pages":          {calls: 10}, // each writes to all of its 128 MiB
		"progress":       {inputs: small},
		"recursion":      {calls: 30, fuel: 20_000_000}, // so much uses up the stack
		"secrets":        {inputs: []string{"password"}},
		"secrets-refs":   {instead: "funcref"},
		"secrets-table":  {inputs: []string{"password"}, instead: "table.set"},
		"seeds":          {except: []string{"process: what it drew at start is the same in each pristine call, and another in each fresh one"}},
		"stdout":         {calls: 50}, // each writes 16 MiB
		"tables":         {instead: "table.grow", calls: 50},
		"trap-go":        {fuel: 20_000_000}, // forever takes all of it
		"user-hostile":   {inputs: []string{string(numbers(1024)), string(numbers(1 << 32))}},
		"wasi": {except: []string{"pieces" + long, "out" + long, "lines" + long, "empty" + long, "read" + long, "random" + long, "polls" + long,
			"sleep" + long, "clock: it tells the time"}},
	}
}

// TestPristineIsFresh calls all plugins of the repository and of Extism's Go SDK with random inputs, once in a sandbox that is put back
// after each call, once in one that is made for each, and compares what they give and what it costs.
func TestPristineIsFresh(t *testing.T) {
	on := newSides(t, host.Config{})
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close) // when all plugins are through
	comparePlugins(t, on, server.URL, 1)
	sdk := goSDK(t)
	for n, o := range oracleCases(server.URL) {
		if o.skip != "" { // TestOracle checks that no plugin is forgotten
			continue
		}
		c := o.pristine(t, sdk)
		t.Run("sdk/"+o.file, func(t *testing.T) { c.run(t, on, fmt.Sprintf("%s-%d", o.file, n), 1) })
	}
}

// comparePlugins calls all plugins of the repository, each a part of the full number of times.
func comparePlugins(t *testing.T, on sides, server string, part int) {
	t.Helper()
	cases := pristineCases(server)
	for _, dir := range []string{"../build/plugins", testdata(t), filepath.Join(testdata(t), "guests"), filepath.Join(testdata(t), "hostile")} {
		files, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no plugins (%v): run make plugins", dir, err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".wasm")
			c := cases[name]
			delete(cases, name)
			c.manifest.Wasm = []abi.ManifestWasm{{Name: "main", Path: file}}
			t.Run(name, func(t *testing.T) { c.run(t, on, name, part) })
		}
	}
	for name := range cases {
		t.Errorf("there is no plugin %s", name)
	}
}

// pristine is the case for a plugin of Extism's Go SDK.
func (o *oracleCase) pristine(t *testing.T, sdk string) pristineCase {
	c := pristineCase{manifest: o.manifest}
	if len(o.manifest.AllowedPaths) > 0 {
		c.instead = "it has folders"
	}
	for _, file := range append(slices.Clone(o.libs), o.file) {
		c.manifest.Wasm = append(c.manifest.Wasm, abi.ManifestWasm{Name: file, Path: filepath.Join(sdk, file+".wasm")})
	}
	for _, call := range o.calls {
		c.inputs = append(c.inputs, call.input)
	}
	return c
}

func (c *pristineCase) run(t *testing.T, on sides, name string, part int) {
	t.Parallel()
	size := int64(0)
	for _, m := range c.manifest.Wasm {
		st, err := os.Stat(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		size += st.Size()
	}
	calls, fuel := cmp.Or(c.calls, 250), cmp.Or(c.fuel, 200_000)
	if size > 1<<20 {
		calls, fuel = cmp.Or(c.calls, 40), cmp.Or(c.fuel, 500_000_000)
	}
	if err := on.swap(t, name, fuel, &c.manifest); err != nil {
		t.Fatal(err)
	}
	i := info(t, on.pristine, name)
	if how := cmp.Or(c.instead, "put back after"); !strings.Contains(i.Sandbox, how) {
		t.Errorf("%s, want: %s", i.Sandbox, how)
	}
	functions := functionNames(i)
	for _, f := range c.except {
		name, _, _ := strings.Cut(f, ":")
		functions = slices.DeleteFunc(functions, func(f string) bool { return f == name })
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range calls / part {
		call := abi.Call{Plugin: name, Function: functions[random.IntN(len(functions))], Input: randomInput(random)}
		if len(c.inputs) > 0 && random.IntN(2) == 0 {
			call.Input = []byte(c.inputs[random.IntN(len(c.inputs))])
		}
		ticks := !strings.Contains(i.Toolchain, "Go") // whose maps and scheduler draw on randomness
		if pristine, fresh := on.call(t, call, ticks); pristine != fresh {
			t.Fatalf("%s with %d bytes: pristine gives %.200s, fresh %.200s", call.Function, len(call.Input), pristine, fresh)
		}
	}
}

// sides are two hosts with the same plugins under the same names, for a plugin sees its name. The ones are put back after each call, of
// the others an instance is made for each.
type sides struct{ pristine, fresh *host.Host }

func newSides(t testing.TB, cfg host.Config) sides {
	t.Helper()
	return sides{newHost(t, cfg), newHost(t, cfg)}
}

// swap gives the plugin to both. Folders are each side's own.
func (s sides) swap(t testing.TB, name string, fuel int64, manifest *abi.Manifest) error {
	t.Helper()
	for isolation, h := range map[abi.Isolation]*host.Host{abi.IsolationPristine: s.pristine, abi.IsolationFresh: s.fresh} {
		m := *manifest
		m.AllowedPaths = ownFolder(t, m.AllowedPaths)
		m.Taskhost = &abi.ManifestTaskhost{Isolation: isolation, MaxFuel: fuel}
		if _, err := h.Swap(t.Context(), name, host.Source{Manifest: &m}); err != nil {
			return err
		}
	}
	return nil
}

// call makes a call on both and says what it gives and, with ticks, what it costs.
func (s sides) call(t testing.TB, call abi.Call, ticks bool) (pristine, fresh string) {
	t.Helper()
	said := func(h *host.Host) string {
		res, err := h.Run(t.Context(), call, nil)
		var s string
		if ticks {
			s = fmt.Sprintf("%d ticks, ", res.Usage.Ticks)
		}
		if e := abi.AsError(err); e != nil {
			return s + fmt.Sprintf("%s, code %d: %s", e.Code, e.Exit, e.Message)
		}
		return s + fmt.Sprintf("%q", res.Output)
	}
	return said(s.pristine), said(s.fresh)
}

// randomInput is short or long, text or not.
func randomInput(r *rand.Rand) []byte {
	b := make([]byte, r.IntN([]int{1, 10, 100, 5000, 100_000}[r.IntN(5)])+r.IntN(2))
	text := r.IntN(3) > 0
	for i := range b {
		b[i] = byte(r.Uint32())
		if text {
			b[i] = " etaoinshrdlu\n"[int(b[i])%14]
		}
	}
	return b
}

func TestMemoryIsPutBackHoweverMuchWasWritten(t *testing.T) {
	checkMemoryIsPutBack(t, newHost(t, host.Config{}))
}

func checkMemoryIsPutBack(t *testing.T, h *host.Host) {
	t.Helper()
	wasm := read(t, testdata(t), "guests", "echo.wasm")
	if _, err := h.Swap(t.Context(), "echo", host.Source{Wasm: wasm}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 4096, 100_000, 9 << 20, 5, 12 << 20, 1 << 16} {
		in := make([]byte, size)
		for i := range in {
			in[i] = byte(i * 7)
		}
		res, err := h.Run(t.Context(), abi.Call{Plugin: "echo", Function: "process", Input: in}, nil)
		if err != nil || string(res.Output) != string(in) {
			t.Fatalf("%d bytes: %d bytes, %v", size, len(res.Output), err)
		}
	}
}
