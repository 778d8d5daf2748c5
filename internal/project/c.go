package project

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

const installC = "on Debian, apt-get install clang lld wasi-libc libclang-rt-dev-wasm32"

// buildC compiles all sources with one call of clang, with wasi-libc, of which the linker takes what is used. The level of optimizing goes to
// the compiler alone: clang itself would run a wasm-opt that it finds in PATH, which takes time and the lines of the sources.
func (b *builder) buildC(ctx context.Context) error {
	sources, err := b.cSources()
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return b.errorf(abi.CodeNotFound, "there is no .c, .cc or .cpp file in %s, nor in its folder src", b.Dir)
	}
	args := []string{
		"--target=wasm32-wasi", "-mexec-model=reactor", "-ftls-model=local-exec", "-mbulk-memory", "-fno-exceptions",
		"-ffile-compilation-dir=.", "-Xclang", "-O2", "-Wall", "-Wextra", "-Isdk", "-Wl,--stack-first", "-Wl,-z,stack-size=65536", "-o", b.out,
	}
	if b.Debug {
		args = append(args, "-g")
	} else {
		args = append(args, "-Wl,--strip-debug")
	}
	clang := tool{name: "clang", install: installC}
	err = b.run(ctx, clang, append(args, sources...)...)
	if abi.CodeOf(err) == abi.CodeFailed && !b.cWorks(ctx) {
		return b.errorf(abi.CodeNotFound, "clang is here, but cannot build WebAssembly: the linker, the C library or the compiler's "+
			"own library for it are missing: %s", installC)
	}
	return err
}

// cSources are the C and C++ files of the folder src, with those below it, or of the project's own folder, relative to it.
func (b *builder) cSources() ([]string, error) {
	root := filepath.Join(b.Dir, "src")
	if _, err := os.Stat(root); err != nil {
		root = b.Dir
	}
	var sources []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (root == b.Dir || Ignored(d.Name())):
			return filepath.SkipDir
		case !d.IsDir() && !Ignored(d.Name()) && slices.Contains([]string{".c", ".cc", ".cpp"}, filepath.Ext(path)):
			rel, err := filepath.Rel(b.Dir, path)
			sources = append(sources, rel)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, b.errorf(abi.CodeInvalid, "%w", err)
	}
	return sources, nil
}

// cWorks tells whether clang can build a program that has no mistakes.
func (b *builder) cWorks(ctx context.Context) bool {
	source := filepath.Join(filepath.Dir(b.out), "works.c")
	if os.WriteFile(source, []byte("#include <string.h>\n#include <stdio.h>\nint f(void) { return puts(\"x\"); }\n"), 0o600) != nil {
		return true
	}
	quiet := *b
	quiet.w = &strings.Builder{}
	err := quiet.run(ctx, tool{name: "clang"}, "--target=wasm32-wasi", "-mexec-model=reactor", "-o", source+".wasm", source)
	return err == nil || ctx.Err() != nil
}
