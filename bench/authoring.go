package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// authoringRounds is how many projects are made in each language, besides the first.
const authoringRounds = 3

// authoring measures the way from nothing to a plugin's first output with the command line: taskhost new, build and run, one after the
// other, in each language. "first" is the first project on a machine that has the compilers and nothing else: Go compiles its standard
// library, Rust the SDK, and npm finds what it once downloaded in its own cache. "next" is another project of the same author, "change"
// a build and a run after one line of it has changed, "dev" what taskhost dev takes from the file's change to its output. What stands after the slash is processor time, which other programs disturb less. It is done only
// when it is named, for it needs the compilers of all languages.
func authoring(ctx context.Context, _ files) error {
	fmt.Printf("\nfrom taskhost new to the first output, seconds / seconds of processor time\n%-6s %15s %15s %15s %8s\n", "", "first", "next", "change", "dev")
	program, err := filepath.Abs(filepath.Join(build, "taskhost"))
	if err != nil {
		return err
	}
	for _, lang := range []string{"c", "rust", "go", "as", "js"} {
		if err := authoringIn(ctx, program, lang); err != nil {
			return fmt.Errorf("%s: %w", lang, err)
		}
	}
	return nil
}

// authoringIn measures one language and prints its row.
func authoringIn(ctx context.Context, program, lang string) error {
	dir, err := os.MkdirTemp("", "taskhost-authoring-")
	if err != nil {
		return err
	}
	defer func() {
		clean := exec.CommandContext(ctx, "chmod", "-R", "u+w", dir) // Go's cache is not to be changed
		_ = clean.Run()
		_ = os.RemoveAll(dir)
	}()
	a := &author{ctx: ctx, dir: dir, program: program, lang: lang}
	first, err := a.project("first")
	if err != nil {
		return err
	}
	var next, change, dev []spent
	for i := range authoringRounds {
		name := fmt.Sprintf("next%d", i)
		s, err := a.project(name)
		if err != nil {
			return err
		}
		next = append(next, s)
		if s, err = a.change(name, i); err != nil {
			return err
		}
		change = append(change, s)
	}
	if dev, err = a.dev("first"); err != nil {
		return err
	}
	fmt.Printf("%-6s %15s %15s %15s %8.2f\n", lang, first, middle(next), middle(change), middle(dev).wall.Seconds())
	return nil
}

// spent is what some commands took.
type spent struct{ wall, processor time.Duration }

func (s spent) String() string {
	return fmt.Sprintf("%.2f / %.2f", s.wall.Seconds(), s.processor.Seconds())
}

// middle is the median by the time on the wall.
func middle(of []spent) spent {
	slices.SortFunc(of, func(a, b spent) int { return int(a.wall - b.wall) })
	return of[len(of)/2]
}

// author makes projects of one language in a folder, with caches of its own.
type author struct {
	ctx                context.Context
	dir, program, lang string
}

// project makes a project, builds it and runs it.
func (a *author) project(name string) (spent, error) {
	s, _, err := a.taskhost("", "new", name, "--lang", a.lang)
	if err != nil {
		return s, err
	}
	return a.buildAndRun(s, name, "HELLO!\n")
}

// edit changes a line of the source, so that so many more marks stand at the end: no two changes build the same.
func (a *author) edit(name string, marks int) error {
	source := map[string]string{
		"c": "src/" + name + ".c", "rust": "src/lib.rs", "go": "main.go", "as": "assembly/index.ts", "js": name + ".js",
	}[a.lang]
	file := filepath.Join(a.dir, name, filepath.FromSlash(source))
	original, err := os.ReadFile(file + ".orig")
	if err != nil {
		if original, err = os.ReadFile(file); err == nil {
			err = os.WriteFile(file+".orig", original, 0o600)
		}
	}
	if err != nil {
		return err
	}
	more := strings.Repeat("?", marks)
	changed := strings.NewReplacer(`mark + "\n"`, `mark + "`+more+`\n"`, `out += "\n"`, `out += "`+more+`\n"`, `s%s\n`, `s%s`+more+`\n`).Replace(string(original))
	if changed == string(original) {
		return fmt.Errorf("%s has no line to change", file)
	}
	return os.WriteFile(file, []byte(changed), 0o600)
}

// change changes a line of the source, builds and runs.
func (a *author) change(name string, round int) (spent, error) {
	if err := a.edit(name, round+1); err != nil {
		return spent{}, err
	}
	return a.buildAndRun(spent{}, name, "HELLO!"+strings.Repeat("?", round+1)+"\n")
}

// dev lets taskhost dev run, changes a line again and again, and waits for what it makes of that.
func (a *author) dev(name string) (took []spent, err error) {
	ctx, cancel := context.WithTimeout(a.ctx, 5*time.Minute)
	defer cancel()
	cmd := a.command(ctx, "dev", "--json", "-i", "-", name)
	cmd.Stdin = strings.NewReader("hello")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	runs := json.NewDecoder(out)
	// The first ones are not counted: the program and the compilers have just begun.
	const warm = 2
	for n := range warm + 2*authoringRounds + 1 {
		want := "HELLO!\n"
		began := time.Now()
		if n > 0 {
			want = "HELLO!" + strings.Repeat("?", 10+n) + "\n"
			if err := a.edit(name, 10+n); err != nil {
				return nil, err
			}
		}
		var run struct {
			Output string          `json:"output"`
			Error  json.RawMessage `json:"error"`
		}
		for run.Output != want {
			if err := runs.Decode(&run); err != nil {
				return nil, fmt.Errorf("taskhost dev: %w", err)
			}
			if run.Error != nil {
				return nil, fmt.Errorf("taskhost dev: %s", run.Error)
			}
		}
		if n > warm {
			took = append(took, spent{wall: time.Since(began)})
		}
	}
	return took, nil
}

// buildAndRun adds what building and running take, and checks the output.
func (a *author) buildAndRun(s spent, name, want string) (spent, error) {
	built, _, err := a.taskhost("", "build", name)
	if err != nil {
		return s, err
	}
	ran, out, err := a.taskhost("hello", "run", "-p", filepath.Join(name, "build"), "--progress", "none", name)
	if err == nil && out != want {
		err = fmt.Errorf("the output is %q", out)
	}
	return spent{s.wall + built.wall + ran.wall, s.processor + built.processor + ran.processor}, err
}

// command is the command line with the author's caches.
func (a *author) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, a.program, args...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(a.dir, ".cache"), "GOCACHE="+filepath.Join(a.dir, ".go"), "GOFLAGS=")
	return cmd
}

// taskhost runs the command line.
func (a *author) taskhost(input string, args ...string) (spent, string, error) {
	cmd := a.command(a.ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return spent{}, "", fmt.Errorf("taskhost %s: %w\n%s", strings.Join(args, " "), err, &said)
	}
	return spent{time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, out.String(), nil
}
