package project

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// tool is a program that a build runs.
type tool struct {
	name    string   // a command that is looked for in PATH, or its path
	install string   // how to get it
	env     []string // what it finds in its environment besides what taskhost has
}

// path finds a tool.
func (b *builder) path(t tool) (string, error) {
	path, err := exec.LookPath(t.name)
	if err != nil {
		return "", b.missing(t)
	}
	return path, nil
}

func (b *builder) missing(t tool) error {
	return b.errorf(abi.CodeNotFound, "%s is not installed: %s", t.name, t.install)
}

// run runs a tool in the project's folder to its end. When ctx ends it kills it.
func (b *builder) run(ctx context.Context, t tool, args ...string) error {
	path, err := b.path(t)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = b.Dir
	cmd.Stdout, cmd.Stderr = b.w, b.w
	if t.env != nil {
		cmd.Env = append(os.Environ(), t.env...)
	}
	cmd.WaitDelay = 5 * time.Second // what it started may hold its output open
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return b.errorf(abi.CodeCancelled, "the build was cancelled: %w", context.Cause(ctx))
	case errors.As(err, &exit):
		return b.errorf(abi.CodeFailed, "%s ended with %w", t.name, exit)
	case err != nil:
		return b.errorf(abi.CodeFailed, "%s: %w", t.name, err)
	}
	return nil
}

// ask runs a tool and returns the first line that it prints, or nothing when it fails.
func (b *builder) ask(ctx context.Context, path string, args ...string) string {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = b.Dir
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
