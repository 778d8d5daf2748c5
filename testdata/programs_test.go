package testdata_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

const programs = build + "/testdata/programs"

// fail calls a program, which must fail with the code, and an error that has the words.
func fail(t *testing.T, h *host.Host, name, input string, code abi.Code, words ...string) *abi.Error {
	t.Helper()
	out, _, err := call(t, h, abi.Call{Plugin: name, Input: []byte(input)})
	e := abi.AsError(err)
	if e == nil || e.Code != code {
		t.Fatalf("%s: %.80q, %v; want code %s", name, out, err, code)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Errorf("%s: the error %q does not say %q", name, e.Message, w)
		}
	}
	return e
}

// The programs of testdata/programs, each on real data, by the manifests beside them alone.
func TestProgramsThatNobodyWroteForUs(t *testing.T) {
	h := open(t, host.Config{Dir: programs})

	t.Run("gojq", func(t *testing.T) {
		repositories := `[{"name": "small", "stars": 3}, {"name": "źródło", "stars": 12.5}, {"name": "large", "stars": 4e3}]`
		if got := succeed(t, h, "gojq", repositories); got != "large\t4e3\nźródło\t12.5\n" {
			t.Errorf("%q", got)
		}
		if e := fail(t, h, "gojq", "[1,", abi.CodeFailed, "it exited with code 5: gojq: invalid json: <stdin>"); e.Exit != 5 {
			t.Errorf("exit code %d", e.Exit)
		}
		fail(t, h, "gojq", `[{"stars": "many"}]`, abi.CodeFailed, `it exited with code 5: gojq: cannot negate: string ("many")`)
	})

	t.Run("glua", func(t *testing.T) {
		license := read(t, "../LICENSE")
		got := succeed(t, h, "glua", license)
		lines := strings.Split(got, "\n")
		if want := fmt.Sprintf("%d the", countWord(license, "the")); lines[0] != want || len(lines) < 100 {
			t.Errorf("%d lines, the first is %q, want %q", len(lines), lines[0], want)
		}
		// It writes its errors to standard output.
		fail(t, h, "glua", "1 2 3", abi.CodeFailed, "it exited with code 1", "/scripts/words.lua:7: there are no words")
	})

	t.Run("sqlite", func(t *testing.T) {
		const table = "create table t(n, s); insert into t values (1, 'Ä'), (2, x'00'); "
		for range 2 { // each call finds no table
			if got := succeed(t, h, "sqlite", table+"select sum(n) as n, count(*) as rows from t;"); got != `[{"n":3,"rows":2}]`+"\n" {
				t.Errorf("%q", got)
			}
		}
		const numbers = "with recursive n(x) as (select 1 union all select x+1 from n where x < 100000) select sum(x) as sum from n;"
		if got := succeed(t, h, "sqlite", numbers); got != `[{"sum":5000050000}]`+"\n" {
			t.Errorf("%q", got)
		}
		if e := fail(t, h, "sqlite", "select 1;\nselekt 2;", abi.CodeFailed, `it exited with code 1: Parse error near line 2: near "selekt": syntax error`); e.Exit != 1 {
			t.Errorf("exit code %d", e.Exit)
		}
		// The shell wants to run a program, which no sandbox has.
		fail(t, h, "sqlite", ".system ls", abi.CodeDenied, `"system"`, `"env"`, "nobody provides", "taskhost.stub_imports")
		succeed(t, h, "sqlite", "select 1;")
	})

	t.Run("zstd", func(t *testing.T) {
		wasm := read(t, filepath.Join(programs, "glua.wasm")) // some megabytes with all bytes in it
		small := succeed(t, h, "zstd", wasm)
		if len(small) > len(wasm)/2 || !strings.HasPrefix(small, "\x28\xb5\x2f\xfd") {
			t.Errorf("%d bytes became %d: %.4q", len(wasm), len(small), small)
		}
		if got := succeed(t, h, "unzstd", small); got != wasm {
			t.Errorf("%d bytes came back as %d", len(wasm), len(got))
		}
		for _, in := range []string{"", "x", string(make([]byte, 1<<20))} {
			if got := succeed(t, h, "unzstd", succeed(t, h, "zstd", in)); got != in {
				t.Errorf("%d bytes came back as %d", len(in), len(got))
			}
		}
		fail(t, h, "unzstd", "no frame", abi.CodeFailed, "it exited with code 1", "unsupported format")
		fail(t, h, "unzstd", small[:len(small)/2], abi.CodeFailed, "it exited with code 1", "premature")
	})
}

func countWord(text, word string) (n int) {
	letters := func(r rune) bool { return r < 'a' || r > 'z' }
	for _, w := range strings.FieldsFunc(strings.ToLower(text), letters) {
		if w == word {
			n++
		}
	}
	return n
}

// A folder is what the manifest says of it: SQLite fills a database in one that can be written to, reads it in one that cannot, and is told
// when it tries to write there. So is Lua.
func TestProgramsAndFolders(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	for name, manifest := range map[string]string{
		"fill": `{"wasm": [{"path": "sqlite.wasm"}], "allowed_paths": {%q: "/data"},
			"taskhost": {"args": ["-batch", "-bail", "/data/shop.db"], "env": {"HOME": "/"}, "stub_imports": ["env.*"]}}`,
		"ask": `{"wasm": [{"path": "sqlite.wasm"}], "allowed_paths": {%q: "/data"},
			"taskhost": {"args": ["-batch", "-bail", "-csv", "file:/data/shop.db?immutable=1"], "env": {"HOME": "/"}, "stub_imports": ["env.*"]}}`,
		"lua": `{"wasm": [{"path": "glua.wasm"}], "allowed_paths": {%q: "/data"}, "taskhost": {"args": ["/data/script.lua"], "env": {"NAME": "Ada"}}}`,
	} {
		granted := data
		if name != "fill" {
			granted = "ro:" + data
		}
		write(t, filepath.Join(dir, name+".json"), fmt.Sprintf(manifest, granted))
	}
	for _, wasm := range []string{"sqlite.wasm", "glua.wasm"} {
		write(t, filepath.Join(dir, wasm), read(t, filepath.Join(programs, wasm)))
	}
	write(t, filepath.Join(data, "script.lua"), `
		local file, problem = io.open("/data/new.txt", "w")
		if not file then io.stderr:write("no: " .. problem .. "\n") end
		if io.read("*l") == "fail" then os.exit(7) end
		print("hello " .. os.getenv("NAME"), (io.open("/etc/passwd")), (io.open("/data/../../etc/passwd")))
	`)
	h, err := host.New(t.Context(), host.Config{Dir: dir, WatchInterval: -1, Only: []string{"fill", "ask", "lua"}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(t.Context())

	succeed(t, h, "fill", "create table orders(item text, amount int); insert into orders values ('tea', 3), ('cake', 5);")
	succeed(t, h, "fill", "insert into orders values ('tea', 4);") // what is in a folder stays
	for range 2 {
		if got := succeed(t, h, "ask", "select item, sum(amount) from orders group by item order by 2;"); got != "cake,5\r\ntea,7\r\n" {
			t.Errorf("%q", got)
		}
		fail(t, h, "ask", "delete from orders;", abi.CodeFailed, "it exited with code 1", "attempt to write a readonly database")
	}
	if got := succeed(t, h, "lua", ""); got != "hello Ada\tnil\tnil\n" {
		t.Errorf("%q", got)
	}
	e := fail(t, h, "lua", "fail\n", abi.CodeFailed, "it exited with code 7: no: open /data/new.txt: ")
	if e.Exit != 7 || !strings.Contains(e.Message, "Read-only file system") {
		t.Errorf("code %d, %q", e.Exit, e.Message)
	}
	if files, err := os.ReadDir(data); err != nil || len(files) != 2 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a program costs does not come from the call before: the same ticks, whatever ran in between.
func TestProgramsArePristine(t *testing.T) {
	h := open(t, host.Config{Dir: programs, Only: []string{"sqlite", "zstd", "unzstd"}})
	ticks := func(name, input string) uint64 {
		t.Helper()
		r, err := h.Run(t.Context(), abi.Call{Plugin: name, Input: []byte(input)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Usage.Ticks
	}
	first := ticks("zstd", "hello hello hello")
	ticks("zstd", strings.Repeat("something else", 10_000))
	fail(t, h, "unzstd", "no frame", abi.CodeFailed)
	if again := ticks("zstd", "hello hello hello"); again != first {
		t.Errorf("%d ticks, then %d", first, again)
	}
	for _, name := range []string{"sqlite", "zstd"} {
		info, err := h.Inspect(name)
		if err != nil || !strings.Contains(info.Sandbox, "put back") || info.Form != abi.FormWASI || len(info.StubbedImports) < 2 {
			b, _ := json.Marshal(info)
			t.Errorf("%s: %v: %s", name, err, bytes.TrimSpace(b))
		}
	}
}
