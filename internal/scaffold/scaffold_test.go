package scaffold_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
	"github.com/taskhost/taskhost/internal/cases"
	"github.com/taskhost/taskhost/internal/project"
	"github.com/taskhost/taskhost/internal/scaffold"
)

// makeProject makes a project in a folder of its own.
func makeProject(t *testing.T, cfg scaffold.Config) (*project.Project, []string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), cfg.Name)
	files, err := scaffold.Make(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != cfg.Name || p.Lang != cfg.Lang {
		t.Errorf("%+v is loaded as %+v", cfg, p)
	}
	return p, files
}

// build builds a project, which must not make the compilers say anything.
func build(t *testing.T, p *project.Project) project.Output {
	t.Helper()
	var said bytes.Buffer
	out, err := p.Build(t.Context(), &said)
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	if text := said.String(); text != "" && !strings.HasPrefix(text, "npm ") {
		t.Errorf("the compiler complains:\n%s", text)
	}
	return out
}

// passes checks that a built plugin passes the cases of its project.
func passes(t *testing.T, p *project.Project, out project.Output) {
	t.Helper()
	probe, err := cases.NewProbe(t.Context(), host.Config{CacheDir: "off", Interpreters: builtin.Interpreters()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := probe.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := probe.Load(t.Context(), filepath.Dir(out.Plugin), p.Name, true); err != nil {
		t.Fatal(err)
	}
	list, err := cases.Load(filepath.Join(p.Dir, cases.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 {
		t.Errorf("%d cases", len(list))
	}
	err = cases.Run(t.Context(), probe, p.Name, list, false, func(r cases.Report) {
		for _, problem := range r.Problems {
			t.Errorf("case %s: %s\n%s", r.Case.Name, problem.Text, problem.Diff)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A name that none of the languages' tools would take as it is.
const awkward = "9.Lives-x_"

func TestANewProjectBuildsAndPassesItsCasesInEveryLanguage(t *testing.T) {
	shared := t.TempDir()
	for _, lang := range project.Langs() {
		t.Run(string(lang), func(t *testing.T) {
			t.Parallel()
			var first *project.Project
			for _, kind := range scaffold.Kinds() {
				p, _ := makeProject(t, scaffold.Config{Name: awkward, Lang: lang, Kind: kind})
				p.Cache = shared
				p.Debug = kind == scaffold.Agent && (lang == project.C || lang == project.AssemblyScript)
				if lang == project.AssemblyScript && first != nil {
					// The compiler is 100 MB: the second project takes that of the first.
					if err := os.Rename(filepath.Join(first.Dir, "node_modules"), filepath.Join(p.Dir, "node_modules")); err != nil {
						t.Fatal(err)
					}
				}
				first = p
				passes(t, p, build(t, p))
				if lang == project.AssemblyScript && kind == scaffold.Agent {
					staysLoaded(t, p)
				}
			}
		})
	}
}

// staysLoaded builds with a compiler that is kept: what comes out, and what is said of errors, is as without.
func staysLoaded(t *testing.T, p *project.Project) {
	t.Helper()
	before, err := os.ReadFile(build(t, p).Plugin)
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(p.Dir, "assembly", "index.ts")
	good, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	var tools project.Tools
	defer tools.Close()
	same := func(when string) {
		t.Helper()
		p.Tools = &tools
		if after, err := os.ReadFile(build(t, p).Plugin); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s another plugin is built: %v", when, err)
		}
	}
	says := func(ctx context.Context, tools *project.Tools) (string, error) {
		var said bytes.Buffer
		p.Tools = tools
		_, err := p.Build(ctx, &said)
		return said.String(), err
	}
	same("when it is loaded")
	same("when it stayed")
	if err := os.WriteFile(source, append(good, "\nlet x: string = 1;\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	with, err := says(t.Context(), &tools)
	if without, _ := says(t.Context(), nil); abi.CodeOf(err) != abi.CodeFailed || !strings.Contains(with, "TS2322") || with != without {
		t.Errorf("%v: it says\n%s, without it\n%s", err, with, without)
	}
	if err := os.WriteFile(source, good, 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := says(ended, &tools); abi.CodeOf(err) != abi.CodeCancelled {
		t.Errorf("a build that is cancelled: %v", err)
	}
	same("after one that was cancelled")
	tools.Close()
	same("when it was closed")
}

func TestTheTestsOfANewProjectInGoPass(t *testing.T) {
	for _, kind := range scaffold.Kinds() {
		p, _ := makeProject(t, scaffold.Config{Name: awkward, Lang: project.Go, Kind: kind})
		for _, args := range [][]string{{"test", "."}, {"vet", "./..."}, {"mod", "verify"}, {"mod", "tidy", "-diff"}} {
			cmd := exec.CommandContext(t.Context(), "go", args...)
			cmd.Dir = p.Dir
			cmd.Env = append(os.Environ(), "GOFLAGS=", "GOPROXY=off", "GOWORK=off")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: go %s: %v\n%s", kind, args[0], err, out)
			}
		}
		if out, err := exec.CommandContext(t.Context(), "gofmt", "-l", p.Dir).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: gofmt: %v\n%s", kind, err, out)
		}
	}
}

func TestEveryFileOfAProjectIsMadeAndNamed(t *testing.T) {
	for _, lang := range project.Langs() {
		for _, kind := range scaffold.Kinds() {
			p, files := makeProject(t, scaffold.Config{Name: "shout", Lang: lang, Kind: kind})
			found := map[string]bool{}
			err := filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				rel, err := filepath.Rel(p.Dir, path)
				rel = filepath.ToSlash(rel)
				if strings.HasPrefix(rel, "sdk/") {
					rel = "sdk"
				}
				found[rel] = true
				content, readErr := os.ReadFile(path)
				if rel != "sdk" && bytes.Contains(content, []byte("{{")) {
					t.Errorf("%s: a template is left in it", rel)
				}
				return errors.Join(err, readErr)
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range files {
				if !found[name] {
					t.Errorf("%s %s: %s was named and not made", lang, kind, name)
				}
				delete(found, name)
			}
			if len(found) > 0 {
				t.Errorf("%s %s: made and not named: %v", lang, kind, found)
			}
			for _, must := range []string{"README.md", ".gitignore", "taskhost.json", "shout.json"} {
				if !slices.Contains(files, must) {
					t.Errorf("%s %s: no %s", lang, kind, must)
				}
			}
			manifest, err := os.ReadFile(filepath.Join(p.Dir, "shout.json"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := host.ParseManifest("shout.json", manifest); err != nil {
				t.Errorf("%s %s: %v", lang, kind, err)
			}
		}
	}
}

func TestAFolderThatIsThereStaysAsItIs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	ok := scaffold.Config{Name: "shout", Lang: project.C, Kind: scaffold.Agent}
	for _, taken := range []string{dir, file} {
		if _, err := scaffold.Make(taken, ok); abi.CodeOf(err) != abi.CodeConflict {
			t.Errorf("%s: %v", taken, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder changed: %v, %v", entries, err)
	}
}

func TestWhatCannotBeMadeIsTold(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		path string
		cfg  scaffold.Config
		want string
	}{
		{"a", scaffold.Config{Name: "a b", Lang: project.Go, Kind: scaffold.Agent}, `"a b" is no name`},
		{"a", scaffold.Config{Name: "a", Lang: "cobol", Kind: scaffold.Agent}, `no language "cobol"; there are go, rust, c, as, js`},
		{"a", scaffold.Config{Name: "a", Lang: project.Go, Kind: "robot"}, `no kind "robot"; there are processor, agent`},
		{"no/a", scaffold.Config{Name: "a", Lang: project.Go, Kind: scaffold.Agent}, "there is no folder"},
	} {
		_, err := scaffold.Make(filepath.Join(dir, filepath.FromSlash(c.path)), c.cfg)
		if abi.CodeOf(err) != abi.CodeInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
}
