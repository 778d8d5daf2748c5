package project_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/project"
)

// folder makes one with these files: names and contents in turn.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		write(t, dir, files[i], files[i+1])
	}
	return dir
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, dir string) *project.Project {
	t.Helper()
	p, err := project.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func build(t *testing.T, p *project.Project) (project.Output, string) {
	t.Helper()
	var said bytes.Buffer
	out, err := p.Build(t.Context(), &said)
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	return out, said.String()
}

// answer is a plugin that needs no SDK.
const answer = `__attribute__((export_name("process"))) int process(void) { return 0; }
`

func TestTheLanguageIsGuessedFromTheFiles(t *testing.T) {
	for want, files := range map[project.Lang][]string{
		project.Go:             {"go.mod", "module x", "main.go", "package main", "x.js", ""},
		project.Rust:           {"Cargo.toml", "[package]", "src/lib.rs", ""},
		project.C:              {"src/x.c", answer},
		project.AssemblyScript: {"package.json", "{}", "assembly/index.ts", ""},
		project.JavaScript:     {"shout.js", ""},
	} {
		dir := filepath.Join(folder(t), "greet")
		for i := 0; i < len(files); i += 2 {
			write(t, dir, files[i], files[i+1])
		}
		p := load(t, dir)
		name := "greet"
		if want == project.JavaScript {
			name = "shout" // the one script that there is
		}
		if p.Lang != want || p.Name != name {
			t.Errorf("%v: language %q, name %q", files, p.Lang, p.Name)
		}
	}
}

func TestScriptsAreBuiltByCopying(t *testing.T) {
	dir := folder(t, "loud.ts", "export {};", "loud.d.ts", "")
	p := load(t, dir)
	out, _ := build(t, p)
	if p.Lang != project.JavaScript || out.Plugin != filepath.Join(dir, "build", "loud.ts") {
		t.Errorf("%+v is built as %s", p, out.Plugin)
	}
	if err := os.Rename(filepath.Join(dir, "loud.ts"), filepath.Join(dir, "loud.mjs")); err != nil {
		t.Fatal(err)
	}
	out, _ = build(t, load(t, dir))
	if got, err := os.ReadFile(out.Plugin); err != nil || string(got) != "export {};" || filepath.Base(out.Plugin) != "loud.mjs" {
		t.Errorf("%s: %q, %v", out.Plugin, got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "build", "loud.ts")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was built before is left: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "loud.mjs")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Build(t.Context(), &bytes.Buffer{}); abi.CodeOf(err) != abi.CodeNotFound || !strings.Contains(err.Error(), "the script of the plugin loud is loud.js") {
		t.Errorf("without it: %v", err)
	}
}

func TestAFolderThatIsNoProjectIsToldWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		description string
		code        abi.Code
		want        string
	}{
		{"", abi.CodeNotFound, "no sources that are known"},
		{`{"name": "a b", "lang": "c"}`, abi.CodeInvalid, `"a b" is no name`},
		{`{"name": "a", "lang": "cobol"}`, abi.CodeInvalid, `no "lang" "cobol"; there are go, rust, c, as, js`},
		{`{"name": "a", "language": "c"}`, abi.CodeInvalid, "the keys are name, lang, build and output"},
		{`{"name": "a", "build": ["make"]}`, abi.CodeInvalid, `"output" names the file`},
		{`{"name": "a", "build": ["make"], "output": "../a.wasm"}`, abi.CodeInvalid, `"output" names the file`},
		{`{"name": "a", "build": ["make"], "output": "a.so"}`, abi.CodeInvalid, "must end in .wasm, .js, .mjs, .ts or .mts"},
		{`{"name": "a", "build": [], "output": "a.wasm"}`, abi.CodeInvalid, "a command and its arguments"},
		{`{"name": "a", "lang": "c", "output": "a.wasm"}`, abi.CodeInvalid, `belongs to a "build" command`},
		{`{"name": "a"`, abi.CodeInvalid, "taskhost.json: "},
		{strings.Repeat(" ", 64<<10) + "{}", abi.CodeInvalid, "larger than"},
	} {
		dir := folder(t)
		if c.description != "" {
			write(t, dir, project.File, c.description)
		}
		_, err := project.Load(dir)
		if abi.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v", c.description, err)
		}
	}
	if _, err := project.Load(filepath.Join(folder(t), "none")); abi.CodeOf(err) != abi.CodeNotFound {
		t.Errorf("no folder: %v", err)
	}
}

func TestABuildThatFailsLeavesWhatWasBuiltBefore(t *testing.T) {
	dir := folder(t, "taskhost.json", `{"name": "answer", "lang": "c"}`, "src/answer.c", answer, "answer.json", `{"timeout_ms": 7}`)
	p := load(t, dir)
	out, _ := build(t, p)
	was, err := os.ReadFile(out.Plugin)
	if err != nil {
		t.Fatal(err)
	}
	if out.Plugin != filepath.Join(dir, "build", "answer.wasm") || out.Size != int64(len(was)) || out.Took <= 0 {
		t.Errorf("%+v", out)
	}
	if manifest, err := os.ReadFile(out.Manifest); err != nil || string(manifest) != `{"timeout_ms": 7}` {
		t.Errorf("manifest %q, %v", manifest, err)
	}

	write(t, dir, "src/answer.c", "int process( { }\n")
	var said bytes.Buffer
	_, err = p.Build(t.Context(), &said)
	if abi.CodeOf(err) != abi.CodeFailed || !strings.Contains(err.Error(), "clang ended with exit status 1") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(said.String(), "src/answer.c:1:") || strings.Contains(said.String(), dir) {
		t.Errorf("what the compiler says has other paths than those of the project: %s", &said)
	}
	if is, err := os.ReadFile(out.Plugin); err != nil || !bytes.Equal(is, was) {
		t.Errorf("the plugin changed: %v", err)
	}

	write(t, dir, "src/answer.c", answer)
	if err := os.Remove(filepath.Join(dir, "answer.json")); err != nil {
		t.Fatal(err)
	}
	if out, _ := build(t, p); out.Manifest != "" {
		t.Errorf("a manifest %s that the project has not", out.Manifest)
	}
	left, err := filepath.Glob(filepath.Join(dir, "build", "[^.]*"))
	if err != nil || len(left) != 1 {
		t.Errorf("in the plugin folder: %v, %v", left, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "build", ".cache", "new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAnOwnCommandBuildsTheProject(t *testing.T) {
	dir := folder(t, "taskhost.json", `{"name": "up", "build": ["sh", "-c", "cp src.txt out.js; echo done"], "output": "out.js"}`, "src.txt", "// a script")
	out, said := build(t, load(t, dir))
	if got, err := os.ReadFile(out.Plugin); err != nil || string(got) != "// a script" || filepath.Base(out.Plugin) != "up.js" {
		t.Errorf("%s: %q, %v", out.Plugin, got, err)
	}
	if said != "done\n" {
		t.Errorf("it says %q", said)
	}
	write(t, dir, project.File, `{"name": "up", "build": ["true"], "output": "other.wasm"}`)
	if _, err := load(t, dir).Build(t.Context(), &bytes.Buffer{}); abi.CodeOf(err) != abi.CodeFailed || !strings.Contains(err.Error(), "did not write other.wasm") {
		t.Errorf("error %v", err)
	}
}

func TestAMissingToolIsToldWithHowToInstallIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("RUSTC", "rustc")
	for lang, want := range map[project.Lang]string{
		project.Go:             "go is not installed: get Go 1.26 or later",
		project.Rust:           "rustc is not installed: on Debian, apt-get install rustc libstd-rust-dev-wasm32",
		project.C:              "clang is not installed: on Debian, apt-get install clang lld wasi-libc libclang-rt-dev-wasm32",
		project.AssemblyScript: "npm is not installed: on Debian, apt-get install nodejs npm",
	} {
		dir := folder(t, "taskhost.json", `{"name": "a", "lang": "`+string(lang)+`"}`, "src/a.c", answer, "assembly/index.ts", "")
		_, err := load(t, dir).Build(t.Context(), &bytes.Buffer{})
		if abi.CodeOf(err) != abi.CodeNotFound || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", lang, err)
		}
	}
}

func TestABuildEndsWithItsContext(t *testing.T) {
	dir := folder(t, "taskhost.json", `{"name": "a", "build": ["sleep", "60"], "output": "a.wasm"}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := load(t, dir).Build(ctx, &bytes.Buffer{}); abi.CodeOf(err) != abi.CodeCancelled {
		t.Errorf("error %v", err)
	}
}
