package httpapi_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/httpapi"
)

const wasmType = "application/wasm"

// form makes a multipart body.
func form(t testing.TB, parts ...string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		f, err := w.CreateFormField(parts[i])
		if err == nil {
			_, err = f.Write([]byte(parts[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return b.Bytes(), w.FormDataContentType()
}

func (s *system) run(step, input string) string {
	s.t.Helper()
	task := want[struct{ ID string }](s.t, s.do("POST", "/v1/tasks?step="+step, input), http.StatusCreated)
	r := s.do("GET", "/v1/tasks/"+task.ID+"/result?wait=30s", nil)
	if r.status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", step, r.status, r.body)
	}
	return string(r.body)
}

func TestUploadRollbackAndRestart(t *testing.T) {
	dir := t.TempDir()
	var first, second, third abi.Digest
	t.Run("upload", func(t *testing.T) {
		s := start(t, setup{dir: dir})
		v := want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/up", guest(t, "upper-wat"), "Content-Type", wasmType), http.StatusCreated)
		first = v.Digest
		if out := s.run("up", "a"); !v.Current || out != "A" {
			t.Fatalf("%+v %q", v, out)
		}
		second = want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/up", guest(t, "upper-c"), "Content-Type", wasmType), http.StatusOK).Digest
		body, ct := form(t, "wasm", string(guest(t, "upper-rust")), "manifest", `{"config":{"a":"b"}}`)
		third = want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/up", body, "Content-Type", ct), http.StatusOK).Digest
		if first == second || second == third {
			t.Fatal(first, second, third)
		}
		wantProblem(t, s.do("PUT", "/v1/plugins/up", "no module", "Content-Type", wasmType), http.StatusUnprocessableEntity, abi.CodeRefused)
		if data, err := os.ReadFile(filepath.Join(dir, "up.wasm")); err != nil || !bytes.Equal(data, guest(t, "upper-rust")) {
			t.Fatal("a refused upload changed the file", err)
		}
		if v = want[abi.VersionInfo](t, s.do("POST", "/v1/plugins/up/rollback", nil), http.StatusOK); v.Digest != second {
			t.Fatalf("%+v", v)
		}
		if _, err := os.Stat(filepath.Join(dir, "up.json")); err == nil {
			t.Error("the manifest of the newer version stayed")
		}
		for _, entry := range []string{"test plugin.upload up " + string(third), "test plugin.rollback up " + string(second), "test plugin.upload up  refused"} {
			if !s.audit.has(entry) {
				t.Errorf("%q is not among %q", entry, s.audit.list)
			}
		}
	})
	t.Run("restart", func(t *testing.T) {
		s := start(t, setup{dir: dir})
		p := want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/up", nil), http.StatusOK)
		list := want[struct{ Versions []abi.VersionInfo }](t, s.do("GET", "/v1/plugins/up/versions", nil), http.StatusOK).Versions
		if p.Digest != second || p.State != abi.StateReady || len(list) != 3 || list[0].Digest != third || !list[1].Current || list[2].Digest != first {
			t.Fatalf("%+v\n%+v", p, list)
		}
		if v := want[abi.VersionInfo](t, s.do("POST", "/v1/plugins/up/rollback", nil), http.StatusOK); v.Digest != first {
			t.Fatalf("%+v", v)
		}
		v := want[abi.VersionInfo](t, s.do("POST", "/v1/plugins/up/rollback", map[string]any{"digest": third}), http.StatusOK)
		if v.Digest != third || s.run("up", "b") != "B" {
			t.Fatalf("%+v", v)
		}
		// The look at the folder that noticed the version before may end after this one was made current; the next one sees its files.
		waitFor(t, "the version in the folder", func() bool {
			info, err := s.host.Inspect("up")
			return err == nil && info.Digest == third && info.Config["a"] == "b"
		})
		wantProblem(t, s.do("POST", "/v1/plugins/up/rollback", `{"digest":"sha256:00"}`), http.StatusNotFound, abi.CodeNotFound)
		if r := s.do("DELETE", "/v1/plugins/up", nil); r.status != http.StatusNoContent {
			t.Fatalf("%d %s", r.status, r.body)
		}
		wantProblem(t, s.do("GET", "/v1/plugins/up", nil), http.StatusNotFound, abi.CodeNotFound)
		wantProblem(t, s.do("DELETE", "/v1/plugins/up", nil), http.StatusNotFound, abi.CodeNotFound)
	})
}

// file is form with one part that is a file with a name.
func file(t testing.TB, part, name, content string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	f, err := w.CreateFormFile(part, name)
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// TestUploadedScripts has a plugin be a script, a module, and a script again.
func TestUploadedScripts(t *testing.T) {
	s := start(t, setup{})
	const js = "export const process = (text) => text + config.get('end');\n"
	put := func(body any, contentType string, status int) abi.VersionInfo {
		t.Helper()
		return want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/up", body, "Content-Type", contentType), status)
	}
	has := func(files ...string) {
		t.Helper()
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				names = append(names, e.Name())
			}
		}
		if !slices.Equal(names, files) {
			t.Errorf("the folder has %v, want %v", names, files)
		}
	}
	first := put(js, "text/javascript; charset=utf-8", http.StatusCreated)
	if out := s.run("up", "a"); out != "aundefined" {
		t.Errorf("it gives %q", out)
	}
	has("up.js")
	put(`{"config": {"end": "!"}}`, "application/json", http.StatusOK)
	if out := s.run("up", "a"); out != "a!" {
		t.Errorf("with a manifest it gives %q", out)
	}
	has("up.js", "up.json")
	body, contentType := file(t, "script", "up.ts", "export const process = (text: string): string => text + text;\n")
	typed := put(body, contentType, http.StatusOK)
	if out := s.run("up", "a"); out != "aa" {
		t.Errorf("in TypeScript it gives %q", out)
	}
	has("up.json", "up.ts")
	module := put(guest(t, "upper-wat"), wasmType, http.StatusOK)
	if out := s.run("up", "a"); out != "A" {
		t.Errorf("the module gives %q", out)
	}
	has("up.json", "up.wasm")
	for _, c := range []struct {
		digest abi.Digest
		out    string
		files  []string
	}{{typed.Digest, "aa", []string{"up.json", "up.ts"}}, {first.Digest, "aundefined", []string{"up.js"}}, {module.Digest, "A", []string{"up.json", "up.wasm"}}} {
		if v := want[abi.VersionInfo](t, s.do("POST", "/v1/plugins/up/rollback", map[string]any{"digest": c.digest}), http.StatusOK); v.Digest != c.digest {
			t.Errorf("%+v", v)
		}
		if out := s.run("up", "a"); out != c.out {
			t.Errorf("the version gives %q, want %q", out, c.out)
		}
		has(c.files...)
	}
	if r := s.do("PUT", "/v1/plugins/dry?dry_run=true", js, "Content-Type", "text/javascript"); r.status != http.StatusOK {
		t.Errorf("a dry run: %d %s", r.status, r.body)
	}
	wantProblem(t, s.do("PUT", "/v1/plugins/up", "export const process = ;", "Content-Type", "text/javascript"), http.StatusUnprocessableEntity, abi.CodeRefused)
	body, contentType = file(t, "script", "up.lua", "x")
	wantProblem(t, s.do("PUT", "/v1/plugins/up", body, "Content-Type", contentType), http.StatusBadRequest, abi.CodeInvalid)
	body, contentType = form(t, "script", js, "wasm", "x")
	wantProblem(t, s.do("PUT", "/v1/plugins/up", body, "Content-Type", contentType), http.StatusBadRequest, abi.CodeInvalid)
	if r := s.do("DELETE", "/v1/plugins/up", nil); r.status != http.StatusNoContent {
		t.Fatalf("%d %s", r.status, r.body)
	}
	has()
}

func TestUploadsThatAreRefused(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: httpapi.Config{Limits: httpapi.Limits{MaxUpload: 1 << 20}}})
	for name, c := range map[string]struct {
		path, body, contentType string
		status                  int
		code                    abi.Code
	}{
		"name":        {"/v1/plugins/a%20b", "x", wasmType, 400, abi.CodeInvalid},
		"dots":        {"/v1/plugins/..%2fup", "x", wasmType, 404, abi.CodeNotFound},
		"type":        {"/v1/plugins/up", "x", "text/plain", 400, abi.CodeInvalid},
		"no type":     {"/v1/plugins/up", "x", "", 400, abi.CodeInvalid},
		"empty":       {"/v1/plugins/up", "", wasmType, 400, abi.CodeInvalid},
		"query":       {"/v1/plugins/up?dryrun=1", "x", wasmType, 400, abi.CodeInvalid},
		"large":       {"/v1/plugins/up", strings.Repeat("x", 1<<20+1), wasmType, 413, abi.CodeInvalid},
		"manifest":    {"/v1/plugins/upper", `{"configg":{}}`, "application/json", 400, abi.CodeInvalid},
		"no module":   {"/v1/plugins/up", `{"config":{}}`, "application/json", 400, abi.CodeInvalid},
		"path":        {"/v1/plugins/upper", `{"wasm":[{"path":"/etc/passwd"}]}`, "application/json", 403, abi.CodeDenied},
		"grant":       {"/v1/plugins/upper", `{"allowed_paths":{"/":"/"}}`, "application/json", 403, abi.CodeDenied},
		"boundary":    {"/v1/plugins/up", "x", "multipart/form-data", 400, abi.CodeInvalid},
		"broken form": {"/v1/plugins/up", "x", "multipart/form-data; boundary=b", 400, abi.CodeInvalid},
		"imports":     {"/v1/plugins/up", string(guest(t, "broken/missing-import")), wasmType, 422, abi.CodeRefused},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if c.contentType != "" {
				headers = []string{"Content-Type", c.contentType}
			}
			wantProblem(t, s.do("PUT", c.path, c.body, headers...), c.status, c.code)
		})
	}
	other, ct := form(t, "other", "x")
	wantProblem(t, s.do("PUT", "/v1/plugins/up", other, "Content-Type", ct), http.StatusBadRequest, abi.CodeInvalid)
	wantProblem(t, s.do("PUT", "/v1/plugins/up", "x", "Content-Type", wasmType, "X-Role", "operate"), http.StatusForbidden, abi.CodeDenied)

	v := want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/new?dry_run=true", guest(t, "upper-c"), "Content-Type", wasmType), http.StatusOK)
	if v.Current || v.Digest == "" {
		t.Errorf("%+v", v)
	}
	wantProblem(t, s.do("GET", "/v1/plugins/new", nil), http.StatusNotFound, abi.CodeNotFound)
	if p := want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/upper", nil), http.StatusOK); p.State != abi.StateReady || len(p.Versions) != 1 {
		t.Errorf("%+v", p)
	}
	before := want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/upper", nil), http.StatusOK).Digest
	v = want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/upper", `{"config":{"k":"v"}}`, "Content-Type", "application/json"), http.StatusOK)
	if v.Digest == before {
		t.Error("a manifest makes no version")
	}
}

// TestRollbackBringsNoGrantBack takes a folder and a host away from a plugin, which a rollback gives it again only by an admin.
func TestRollbackBringsNoGrantBack(t *testing.T) {
	for name, grant := range map[string]string{"folder": `{"allowed_paths":{"` + t.TempDir() + `":"/data"}}`, "host": `{"allowed_hosts":["example.org"]}`} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			install(t, filepath.Join(dir, "up.json"), []byte(grant))
			s := start(t, setup{dir: dir, plugins: []string{"up=upper-wat"}})
			first := want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/up", nil), http.StatusOK).Digest
			second := want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/up", `{}`, "Content-Type", "application/json"), http.StatusOK).Digest
			third := want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/up", `{"config":{"a":"b"}}`, "Content-Type", "application/json"), http.StatusOK).Digest
			if first == second || second == third {
				t.Fatal(first, second, third)
			}
			operate := func(digest abi.Digest) reply {
				return s.do("POST", "/v1/plugins/up/rollback", map[string]any{"digest": digest}, "X-Role", "operate")
			}
			if p := wantProblem(t, operate(first), http.StatusForbidden, abi.CodeDenied); !strings.Contains(p.Detail, "grants the "+name) {
				t.Errorf("%s", p.Detail)
			}
			if p := want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/up", nil), http.StatusOK); p.Digest != third {
				t.Errorf("after a rollback that was refused: %+v", p)
			}
			want[abi.VersionInfo](t, operate(second), http.StatusOK)
			if v := want[abi.VersionInfo](t, s.do("POST", "/v1/plugins/up/rollback", map[string]any{"digest": first}), http.StatusOK); v.Digest != first {
				t.Errorf("%+v", v)
			}
			want[abi.VersionInfo](t, operate(second), http.StatusOK)
		})
	}
}

// TestDroppedVersionIsKept drops a file in, replaces it, and goes back to it in another process.
func TestDroppedVersionIsKept(t *testing.T) {
	dir := t.TempDir()
	install(t, filepath.Join(dir, "up.wasm"), guest(t, "upper-wat"))
	var first abi.Digest
	t.Run("drop", func(t *testing.T) {
		s := start(t, setup{dir: dir})
		first = want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/up", nil), http.StatusOK).Digest
		want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/up", guest(t, "upper-c"), "Content-Type", wasmType), http.StatusOK)
	})
	t.Run("go back", func(t *testing.T) {
		s := start(t, setup{dir: dir})
		if v := want[abi.VersionInfo](t, s.do("POST", "/v1/plugins/up/rollback", nil), http.StatusOK); v.Digest != first {
			t.Errorf("%+v", v)
		}
	})
}
