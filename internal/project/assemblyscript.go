package project

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/taskhost/taskhost/abi"
)

const installNPM = "on Debian, apt-get install nodejs npm; or get Node.js from https://nodejs.org"

// buildAssemblyScript calls the compiler that the project's package.json names, and installs it first where that was not done.
func (b *builder) buildAssemblyScript(ctx context.Context) error {
	source := filepath.Join("assembly", "index.ts")
	if !exists(filepath.Join(b.Dir, source)) {
		source = "index.ts"
	}
	if !exists(filepath.Join(b.Dir, source)) {
		return b.errorf(abi.CodeNotFound, "there is no assembly/index.ts in %s", b.Dir)
	}
	asc := filepath.Join(b.Dir, "node_modules", "assemblyscript", "bin", "asc.js")
	if !exists(asc) {
		if err := b.npm(ctx); err != nil {
			return err
		}
	}
	// With the flag that asc would start node anew for; and newer versions of node keep what they compiled of asc.
	t := tool{name: "node", install: installNPM, env: []string{"NODE_COMPILE_CACHE=" + filepath.Join(b.cache, "node")}}
	args := []string{source, "--outFile", b.out} // and the options of asconfig.json
	if b.Debug {
		args = append(args, "--debug", "--optimizeLevel", "0", "--shrinkLevel", "0") // optimizing takes most of the time
	} else {
		args = append(args, "--optimizeLevel", "3", "--shrinkLevel", "1")
	}
	if b.Tools != nil {
		answer, ok := b.Tools.compile(ctx, b, t, filepath.Join(b.Dir, "node_modules", "assemblyscript", "dist", "asc.js"), args)
		switch {
		case ctx.Err() != nil:
			return b.errorf(abi.CodeCancelled, "the build was cancelled: %w", context.Cause(ctx))
		case ok:
			if _, err := io.WriteString(b.w, answer.Output); err != nil || !answer.Failed {
				return err
			}
			return b.errorf(abi.CodeFailed, "asc found errors")
		}
	}
	return b.run(ctx, t, append([]string{"--enable-source-maps", asc}, args...)...)
}

// npm installs what package.json names: the versions of package-lock.json where there is one.
func (b *builder) npm(ctx context.Context) error {
	command := "install"
	if exists(filepath.Join(b.Dir, "package-lock.json")) {
		command = "ci"
	}
	t := tool{name: "npm", install: installNPM}
	if _, err := b.path(t); err != nil {
		return err
	}
	fmt.Fprintf(b.w, "npm %s: the AssemblyScript compiler comes into node_modules, once\n", command)
	if err := b.run(ctx, t, command, "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"); err != nil {
		return err
	}
	if !exists(filepath.Join(b.Dir, "node_modules", "assemblyscript")) {
		return b.errorf(abi.CodeNotFound, "package.json does not name the compiler: npm install --save-dev assemblyscript")
	}
	return nil
}
