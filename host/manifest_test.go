package host_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestBadManifests checks that each mistake in a manifest is an error that names the file and the key.
func TestBadManifests(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{``, []string{"ends too early"}},
		{`{`, []string{"ends too early"}},
		{`{"config": {"a": "b"}`, []string{"ends too early"}},
		{`{]`, []string{"not valid JSON", "byte 2"}},
		{`wasm: true`, []string{"not valid JSON"}},
		{`{} {}`, []string{"after the manifest's closing brace"}},
		{`{}]`, []string{"after the manifest's closing brace"}},
		{`[]`, []string{"array"}},
		{`"text"`, []string{"string"}},
		{`{"memorie": {}}`, []string{`unknown key "memorie"`}},
		{`{"memory": {"max_page": 1}}`, []string{`unknown key "max_page"`}},
		{`{"taskhost": {"isolatoin": "reuse"}}`, []string{`unknown key "isolatoin"`}},
		{`{"taskhost": {"functions": {"process": {"text": "x"}}}}`, []string{`unknown key "text"`}},
		{`{"wasm": [{"url": "https://example.com/a.wasm"}]}`, []string{"url", "not loaded from the network"}},
		{`{"timeout_ms": "1s"}`, []string{"timeout_ms", "string"}},
		{`{"timeout_ms": -1}`, []string{"timeout_ms", "-1"}},
		{`{"timeout_ms": 1.5}`, []string{"timeout_ms", "1.5"}},
		{`{"timeout_ms": 18446744073709551615}`, []string{"timeout_ms", "too large"}},
		{`{"timeout_ms": 18446744073709551616}`, []string{"timeout_ms"}},
		{`{"memory": {"max_pages": -1}}`, []string{"memory.max_pages", "-1"}},
		{`{"memory": {"max_pages": 65537}}`, []string{"memory.max_pages", "65536"}},
		{`{"memory": {"max_pages": 4294967296}}`, []string{"memory.max_pages"}},
		{`{"memory": {"max_http_response_bytes": -1}}`, []string{"memory.max_http_response_bytes", "negative"}},
		{`{"memory": {"max_var_bytes": -1}}`, []string{"memory.max_var_bytes", "negative"}},
		{`{"memory": 5}`, []string{"memory", "number"}},
		{`{"config": {"a": 1}}`, []string{"config", "number"}},
		{`{"config": ["a"]}`, []string{"config", "array"}},
		{`{"allowed_hosts": "example.com"}`, []string{"allowed_hosts", "string"}},
		{`{"allowed_paths": {"": "/data"}}`, []string{"allowed_paths"}},
		{`{"allowed_paths": {"ro:": "/data"}}`, []string{"allowed_paths"}},
		{`{"allowed_paths": {"data": "data"}}`, []string{"allowed_paths", "absolute"}},
		{`{"allowed_paths": {"data": ""}}`, []string{"allowed_paths", "absolute"}},
		{`{"wasm": [{}]}`, []string{"wasm[0]", "either path or data"}},
		{`{"wasm": [{"path": "a.wasm", "data": "AAAA"}]}`, []string{"wasm[0]", "either path or data"}},
		{`{"wasm": [{"data": "not base64!"}]}`, []string{"wasm", "data", "base64"}},
		{`{"wasm": [{"path": "a.wasm", "hash": "abc"}]}`, []string{"wasm[0].hash", "64 hexadecimal"}},
		{`{"wasm": [{"path": "a.wasm", "name": "a"}, {"path": "b.wasm", "name": "a"}]}`, []string{"wasm[1].name", `"a" is there twice`}},
		{`{"wasm": [{"path": "a.wasm"}, {"path": "b.wasm", "name": "main"}]}`, []string{"wasm[0].name", "needs a name"}},
		{`{"wasm": [{"path": "a.wasm", "name": "extism:host/env"}, {"path": "b.wasm"}]}`, []string{"wasm[0].name", "belongs to the host"}},
		{`{"wasm": [{"path": "a.wasm", "name": "wasi_snapshot_preview1"}, {"path": "b.wasm"}]}`, []string{"wasm[0].name", "belongs to the host"}},
		{`{"wasm": [{"path": "a.wasm", "name": "taskhost:env"}, {"path": "b.wasm"}]}`, []string{"wasm[0].name", "belongs to the host"}},
		{`{"taskhost": {"isolation": "none"}}`, []string{"taskhost.isolation", "pristine, reuse, fresh"}},
		{`{"taskhost": {"isolation": true}}`, []string{"taskhost.isolation", "bool"}},
		{`{"taskhost": {"max_instances": -1}}`, []string{"taskhost.max_instances", "negative"}},
		{`{"taskhost": {"max_instances": 10000000}}`, []string{"taskhost.max_instances", "at most"}},
		{`{"taskhost": {"max_output_bytes": -1}}`, []string{"taskhost.max_output_bytes", "negative"}},
		{`{"taskhost": {"max_kernel_bytes": -1}}`, []string{"taskhost.max_kernel_bytes", "negative"}},
		{`{"taskhost": {"max_kernel_bytes": 100}}`, []string{"taskhost.max_kernel_bytes", "at least 65536"}},
		{`{"taskhost": {"max_kernel_bytes": 5000000000}}`, []string{"taskhost.max_kernel_bytes", "4 GiB"}},
		{`{"taskhost": {"max_log_bytes": -1}}`, []string{"taskhost.max_log_bytes", "negative"}},
		{`{"taskhost": {"cancel_grace_ms": -1}}`, []string{"taskhost.cancel_grace_ms", "negative"}},
		{`{"taskhost": {"cancel_grace_ms": 10001}}`, []string{"taskhost.cancel_grace_ms", "10000"}},
		{`{"taskhost": {"env": {"": "x"}}}`, []string{"taskhost.env"}},
		{`{"taskhost": {"env": {"A=B": "x"}}}`, []string{"taskhost.env", "A=B"}},
		{`{"taskhost": {"env": {"A": "x\u0000"}}}`, []string{"taskhost.env"}},
		{`{"taskhost": {"args": ["x\u0000"]}}`, []string{"taskhost.args"}},
	} {
		m, err := host.ParseManifest("bad.json", []byte(c.text))
		if err == nil {
			t.Errorf("%s is accepted as %+v", c.text, m)
			continue
		}
		wantCode(t, err, abi.CodeInvalid, append(c.want, "bad.json: ")...)
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %q", c.text, err)
		}
	}
}

// TestManifestsThatDoNotFit checks the mistakes that show only beside the module: each names the key.
func TestManifestsThatDoNotFit(t *testing.T) {
	h := newHost(t, host.Config{})
	dir := t.TempDir()
	write(t, filepath.Join(dir, "echo.wasm"), guest(t, "echo"))
	wrong := strings.Repeat("0", 64)
	for _, c := range []struct {
		text string
		code abi.Code
		want []string
	}{
		{`{"taskhost": {"functions": {"proces": {}}}}`, abi.CodeRefused, []string{"taskhost.functions", `"proces"`, "by_eight, process, same"}},
		{`{"wasm": [{"path": "echo.wasm", "hash": "` + wrong + `"}]}`, abi.CodeRefused, []string{"wasm[0]", "sha256", wrong}},
		{`{"wasm": [{"path": "nobody.wasm"}]}`, abi.CodeRefused, []string{"wasm[0]", "nobody.wasm"}},
		{`{"wasm": [{"path": "."}]}`, abi.CodeRefused, []string{"wasm[0]", "not a regular file"}},
		{`{"wasm": [{"data": "AGFzbQEAAAA="}]}`, abi.CodeRefused, []string{"exports no function"}},
		{`{"allowed_hosts": ["http://example.com"]}`, abi.CodeInvalid, []string{"allowed_hosts", "http://example.com"}},
		{`{"allowed_paths": {"nowhere": "/data"}}`, abi.CodeRefused, []string{"allowed_paths", "nowhere"}},
		{`{"allowed_paths": {"echo.wasm": "/data"}}`, abi.CodeRefused, []string{"allowed_paths", "echo.wasm"}},
	} {
		src := host.Source{Manifest: manifest(t, c.text), Base: dir}
		if len(src.Manifest.Wasm) == 0 {
			src.Wasm = guest(t, "echo")
		}
		_, err := h.Swap(t.Context(), "p", src)
		if err == nil {
			t.Errorf("%s is accepted", c.text)
			continue
		}
		wantCode(t, err, c.code, append(c.want, "plugin p: ")...)
	}
	// A manifest that was made in Go is checked as well.
	_, err := h.Swap(t.Context(), "p", host.Source{Wasm: guest(t, "echo"), Manifest: &abi.Manifest{Taskhost: &abi.ManifestTaskhost{MaxInstances: -3}}})
	wantCode(t, err, abi.CodeInvalid, "taskhost.max_instances", "negative")
	for _, name := range []string{"", "a b", "../a", "ünder", ".hidden", strings.Repeat("a", abi.MaxName+1)} {
		_, err := h.Swap(t.Context(), name, host.Source{Wasm: guest(t, "echo")})
		wantCode(t, err, abi.CodeInvalid, "cannot name a plugin")
	}
	if list := h.Plugins(); len(list) != 0 {
		t.Errorf("there are plugins: %v", list)
	}
}

// TestManifestInFolder checks which files are plugins, and that what is wrong with one shows with its name.
func TestManifestInFolder(t *testing.T) {
	dir := t.TempDir()
	echo := guest(t, "echo")
	sum := fmt.Sprintf("%X", sha256.Sum256(echo)) // the case of the digits does not matter
	for name, text := range map[string]string{
		"bare.wasm":     string(echo),
		"with.wasm":     string(echo),
		"with.json":     `{"taskhost": {"description": "gives it back", "functions": {"same": {"description": "at once"}}, "max_instances": 3}, "timeout_ms": 5000}`,
		"listed.json":   `{"wasm": [{"path": "bare.wasm", "hash": "` + sum + `"}], "memory": {"max_pages": 7}}`,
		"inside.json":   `{"wasm": [{"data": "` + base64.StdEncoding.EncodeToString(echo) + `"}]}`,
		"unknown.json":  `{"wasm": [{"path": "bare.wasm"}], "timeout": 5}`,
		"garbage.json":  `{} trailing`,
		"alone.json":    `{"timeout_ms": 5}`,
		"nofunc.wasm":   string(echo),
		"nofunc.json":   `{"taskhost": {"functions": {"nobody": {}}}}`,
		"README.md":     "no plugin",
		".hidden.wasm":  "no plugin",
		"a space.wasm":  "no plugin",
		"UPPER.WASM":    "no plugin",
		"notes.json.sw": "no plugin",
	} {
		write(t, filepath.Join(dir, name), []byte(text))
	}
	h := newHost(t, host.Config{Dir: dir, WatchInterval: -1})
	want := map[string]struct {
		state host.State
		text  []string
	}{
		"bare": {host.StateReady, nil}, "with": {host.StateReady, nil}, "listed": {host.StateReady, nil}, "inside": {host.StateReady, nil},
		"unknown": {host.StateRefused, []string{"unknown.json", `unknown key "timeout"`}},
		"garbage": {host.StateRefused, []string{"garbage.json", "closing brace"}},
		"alone":   {host.StateRefused, []string{"alone.json", "no alone.wasm beside it"}},
		"nofunc":  {host.StateRefused, []string{"taskhost.functions", "nobody"}},
	}
	for _, i := range h.Plugins() {
		w, ok := want[i.Name]
		delete(want, i.Name)
		if !ok || i.State != w.state || (i.Error == "") != (w.text == nil) {
			t.Errorf("%s is %s: %s", i.Name, i.State, i.Error)
		}
		for _, text := range w.text {
			if !strings.Contains(i.Error, text) {
				t.Errorf("%s: the error %q does not say %q", i.Name, i.Error, text)
			}
		}
		if w.state == host.StateReady {
			if got := run(t, h, i.Name+":same", "x"); got != "x" {
				t.Errorf("%s gives %q", i.Name, got)
			}
		}
	}
	for name := range want {
		t.Errorf("%s is not there", name)
	}
	i := info(t, h, "with")
	if i.Description != "gives it back" || len(i.Functions) != 1 || i.Functions[0] != (host.FunctionInfo{Name: "same", Description: "at once"}) ||
		i.Default != "same" || i.MaxInstances != 3 || i.Limits.RunTime != 5*time.Second || filepath.Base(i.Path) != "with.wasm" {
		t.Errorf("Inspect says %+v", i)
	}
	fails(t, h, "with:process", "", abi.CodeNotFound) // the manifest does not describe it
	if i := info(t, h, "listed"); i.Limits.Memory != 7*65536 || filepath.Base(i.Path) != "listed.json" || i.Digest == info(t, h, "bare").Digest {
		t.Errorf("Inspect says %+v", i)
	}
	e := fails(t, h, "unknown", "", abi.CodeRefused)
	wantCode(t, e, abi.CodeRefused, "plugin unknown", "its file was refused", "unknown.json")
}

// TestOnly checks that plugins which Config.Only does not name are not loaded, and that errors still know them.
func TestOnly(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"echo", "noop", "trap"} {
		write(t, filepath.Join(dir, name+".wasm"), guest(t, name))
	}
	h := newHost(t, host.Config{Dir: dir, WatchInterval: -1, Only: []string{"echo", "missing"}})
	run(t, h, "echo", "x")
	if list := h.Plugins(); len(list) != 1 {
		t.Errorf("%d plugins are loaded", len(list))
	}
	e := fails(t, h, "ecko", "", abi.CodeNotFound)
	wantCode(t, e, abi.CodeNotFound, "did you mean echo?", "echo, noop, trap")
}

// TestSeveralModules checks a plugin whose main module imports from another, in the ways in which a manifest can say so.
func TestSeveralModules(t *testing.T) {
	h := newHost(t, host.Config{})
	sdk := goSDK(t)
	lib := base64.StdEncoding.EncodeToString(read(t, sdk, "lib.wasm"))
	for name, modules := range map[string]string{
		"last":  `{"name": "lib", "path": "lib.wasm"}, {"path": "main.wasm"}`,
		"named": `{"name": "main", "path": "main.wasm"}, {"name": "lib", "path": "lib.wasm"}`,
		"data":  `{"name": "lib", "data": "` + lib + `"}, {"path": "main.wasm", "name": "something"}`,
	} {
		m := manifest(t, `{"wasm": [`+modules+`]}`)
		if _, err := h.Swap(t.Context(), name, host.Source{Manifest: m, Base: sdk}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := run(t, h, name+":run_test", "x"); !strings.Contains(got, "x") && got == "" {
			t.Errorf("%s gives %q", name, got)
		}
		if i := info(t, h, name); slices.ContainsFunc(i.Imports, func(s string) bool { return strings.HasPrefix(s, "lib.") }) || i.Size < 500_000 {
			t.Errorf("%s: imports %q, %d bytes", name, i.Imports, i.Size)
		}
	}
	a, b := info(t, h, "last").Digest, info(t, h, "data").Digest
	if a != b {
		t.Errorf("the same modules make the versions %s and %s", a, b)
	}
	for _, modules := range []string{`{"path": "main.wasm"}`, `{"name": "library", "path": "lib.wasm"}, {"path": "main.wasm"}`} {
		_, err := h.Swap(t.Context(), "p", host.Source{Manifest: manifest(t, `{"wasm": [`+modules+`]}`), Base: sdk})
		wantCode(t, err, abi.CodeRefused, "which nobody provides")
	}
}

// TestLargeBase64Module checks that the module in a manifest may be as large as one in a file, and the rest may not.
func TestLargeBase64Module(t *testing.T) {
	dir := t.TempDir()
	wasm := tagged(guest(t, "echo"), "x")
	wasm = append(wasm, append([]byte{0, 0x80, 0x80, 0x80, 0x01, 3, 'p', 'a', 'd'}, make([]byte, 1<<21-4)...)...) // 2 MiB that mean nothing
	text, err := json.Marshal(abi.Manifest{Wasm: []abi.ManifestWasm{{Data: wasm}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "large.json"), text)
	write(t, filepath.Join(dir, "long.json"), []byte(`{"wasm": [{"path": "x.wasm"}], "config": {"a": "`+strings.Repeat("a", 2<<20)+`"}}`))
	write(t, filepath.Join(dir, "huge.json"), []byte(strings.Repeat(" ", 20<<20)))
	h := newHost(t, host.Config{Dir: dir, WatchInterval: -1, Limits: abi.Limits{Module: 4 << 20}})
	if got := run(t, h, "large", "x"); got != "x" {
		t.Errorf("echo gives %q", got)
	}
	for _, name := range []string{"long", "huge"} {
		e := fails(t, h, name, "", abi.CodeRefused)
		wantCode(t, e, abi.CodeRefused, name+".json", "manifest")
		if strings.Contains(e.Message, "Limits.Module") {
			t.Errorf("%s: a limit that has nothing to do with it: %v", name, e)
		}
	}
}

// TestInspect checks what the host tells of a plugin, and that files it cannot read are no secret.
func TestInspect(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "env.wasm"), guest(t, "env"))
	if err := os.Mkdir(filepath.Join(dir, "folder.wasm"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, host.Config{Dir: dir, WatchInterval: -1})
	i := info(t, h, "env")
	if i.Form != host.FormExtism || i.State != host.StateReady || i.Isolation != abi.IsolationPristine || i.Sandbox == "" || i.Default != "" {
		t.Errorf("Inspect says %+v", i)
	}
	for _, name := range []string{"extism:host/env.alloc", "extism:host/env.http_request", "extism:host/user.taskhost_read"} {
		if !slices.Contains(i.Imports, name) {
			t.Errorf("the imports are without %s: %q", name, i.Imports)
		}
	}
	if i.Limits != abi.DefaultLimits() {
		t.Errorf("the limits are %+v", i.Limits)
	}
	if !strings.Contains(strings.ToLower(i.Toolchain), "clang") {
		t.Errorf("the toolchain is %q", i.Toolchain)
	}
	if i := info(t, h, "folder"); i.State != host.StateRefused || !strings.Contains(i.Error, "not a regular file") {
		t.Errorf("a folder named .wasm is %s: %s", i.State, i.Error)
	}
	if _, err := json.Marshal(h.Plugins()); err != nil {
		t.Error(err)
	}
}
