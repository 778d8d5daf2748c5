package project

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Output is what Build made.
type Output struct {
	Plugin   string        // the module or the script
	Manifest string        // the manifest beside it; empty: the project has none
	Size     int64         // bytes of the plugin
	Took     time.Duration // from the call of Build
}

// Build builds the plugin into the folder [BuildDir] of the project, where it takes the place of the one before at once and whole; when it
// fails, that one stays. What the compilers print goes to w as it is, with paths relative to the project. A tool that is missing is an
// error with the code [abi.CodeNotFound] that says how to install it; sources that do not compile are one with [abi.CodeFailed].
// Builds of a project may run at the same time; the last one to end wins.
func (p *Project) Build(ctx context.Context, w io.Writer) (Output, error) {
	began := time.Now()
	cache := filepath.Join(p.Dir, BuildDir, ".cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Output{}, p.errorf(abi.CodeInvalid, "%w", err)
	}
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return Output{}, p.errorf(abi.CodeInvalid, "%w", err)
	}
	defer os.RemoveAll(work)
	shared := p.Cache
	if shared == "" || os.MkdirAll(shared, 0o700) != nil {
		shared = cache
	}
	b := &builder{Project: p, w: w, cache: cache, shared: shared, out: filepath.Join(work, p.Name+p.ext())}
	if err := b.compile(ctx); err != nil {
		return Output{}, err
	}
	o := Output{Plugin: filepath.Join(p.Dir, BuildDir, p.Name+p.ext())}
	st, err := os.Stat(b.out)
	if err != nil {
		return Output{}, p.errorf(abi.CodeFailed, "the build wrote nothing: %w", err)
	}
	o.Size = st.Size()
	if o.Manifest, err = b.manifest(work); err != nil {
		return Output{}, p.errorf(abi.CodeInvalid, "%w", err)
	}
	if err := p.clear(); err != nil {
		return Output{}, p.errorf(abi.CodeInvalid, "%w", err)
	}
	if err := publish(b.out, o.Plugin); err != nil {
		return Output{}, p.errorf(abi.CodeInvalid, "%w", err)
	}
	o.Took = time.Since(began)
	return o, nil
}

// errorf makes an error of the project.
func (p *Project) errorf(code abi.Code, format string, args ...any) error {
	err := abi.Errorf(code, format, args...)
	err.Plugin = p.Name
	return err
}

// builder is one build.
type builder struct {
	*Project
	w      io.Writer
	cache  string // a folder for what the next build can use
	shared string // likewise, for builds of other projects too
	out    string // the file to write
}

func (b *builder) compile(ctx context.Context) error {
	if b.Command != nil {
		return b.own(ctx)
	}
	switch b.Lang {
	case Go:
		return b.buildGo(ctx)
	case Rust:
		return b.buildRust(ctx)
	case C:
		return b.buildC(ctx)
	case AssemblyScript:
		return b.buildAssemblyScript(ctx)
	case JavaScript:
		return b.buildJavaScript()
	}
	return b.errorf(abi.CodeInvalid, "there is no language %q", b.Lang)
}

// own runs the project's own command.
func (b *builder) own(ctx context.Context) error {
	if err := b.run(ctx, tool{name: b.Command[0], install: "it is the command that " + File + " names"}, b.Command[1:]...); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(b.Dir, b.Output), b.out); err != nil {
		return b.errorf(abi.CodeFailed, "%s did not write %s: %w", b.Command[0], b.Output, err)
	}
	return nil
}

// buildJavaScript copies the script: the host's interpreter takes it as it is.
func (b *builder) buildJavaScript() error {
	script := b.Name + b.ext()
	if err := copyFile(filepath.Join(b.Dir, script), b.out); err != nil {
		return b.errorf(abi.CodeNotFound, "the script of the plugin %s is %s: %w", b.Name, script, err)
	}
	return nil
}

// clear removes what an earlier build has left whose file had another extension: two files cannot be one plugin.
func (p *Project) clear() error {
	for _, ext := range append([]string{".wasm"}, scripts...) {
		if ext == p.ext() {
			continue
		}
		if err := os.Remove(filepath.Join(p.Dir, BuildDir, p.Name+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// manifest puts the project's manifest beside the plugin, and returns its path; empty when there is none.
func (b *builder) manifest(work string) (string, error) {
	name := b.Name + ".json"
	to, fresh := filepath.Join(b.Dir, BuildDir, name), filepath.Join(work, name)
	err := copyFile(filepath.Join(b.Dir, name), fresh)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return "", nil
	}
	if err == nil {
		err = publish(fresh, to)
	}
	return to, err
}

// publish moves a file to its place; one that holds the same bytes stays, so that nobody who watches it has anything to do.
func publish(from, to string) error {
	is, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if was, err := os.ReadFile(to); err == nil && bytes.Equal(was, is) {
		return nil
	}
	return os.Rename(from, to)
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}
