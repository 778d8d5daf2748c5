package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// stdio as a file name means standard input or output.
const stdio = "-"

// readInput reads the content that a task works on: the named file, or standard input for "-" and for no name.
func (a *app) readInput(ctx context.Context, name string) ([]byte, error) {
	if name != "" && name != stdio {
		content, err := os.ReadFile(name)
		return content, fileError("read", err)
	}
	if name == "" && isTerminal(a.stdin) {
		return nil, usagef("there is no input: name a file with -i FILE, pipe something in, or type it with -i - (Ctrl-D ends it)")
	}
	return readAll(ctx, a.stdin)
}

// readAll reads r to its end, or until ctx ends; then the goroutine that reads is left to the end of the process.
func readAll(ctx context.Context, r io.Reader) ([]byte, error) {
	type outcome struct {
		content []byte
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		content, err := io.ReadAll(r)
		done <- outcome{content, err}
	}()
	select {
	case o := <-done:
		return o.content, fileError("read standard input", o.err)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// checkOutput tells early, before any work is done, that the named file cannot be written.
func checkOutput(name string) error {
	if name == "" || name == stdio {
		return nil
	}
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		return usagef("-o %s is a folder; name a file in it", name)
	}
	if st, err := os.Stat(filepath.Dir(name)); err != nil || !st.IsDir() {
		return usagef("-o %s: the folder %s is not there; make it first", name, filepath.Dir(name))
	}
	return nil
}

// writeOutput writes a result to the named file, or to standard output for "-" and for no name. On a terminal the text ends in a newline.
func (a *app) writeOutput(name string, content []byte) error {
	if name != "" && name != stdio {
		return writeFile(name, content)
	}
	if n := len(content); isTerminal(a.stdout) && n > 0 && content[n-1] != '\n' {
		content = append(content[:n:n], '\n')
	}
	_, err := a.stdout.Write(content)
	return fileError("write the result", err)
}

// writeFile writes a file as a whole or not at all: to a temporary file beside it, which then takes its name. A file that is there keeps
// its permissions, and one reached through a symbolic link is replaced where it is. Devices and pipes are written to as they are.
func writeFile(name string, content []byte) (err error) {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	mode, fresh := fs.FileMode(0o666), true
	if st, err := os.Stat(name); err == nil {
		if !st.Mode().IsRegular() {
			return fileError("write", writeDevice(name, content))
		}
		mode, fresh = st.Mode().Perm(), false
	}
	tmp, err := createBeside(name, mode)
	if err != nil {
		return fileError("write", err)
	}
	defer func() {
		if err != nil {
			err = fileError("write", errors.Join(err, tmp.Close(), os.Remove(tmp.Name())))
		}
	}()
	if !fresh {
		if err := tmp.Chmod(mode); err != nil {
			return err
		}
	}
	if _, err := tmp.Write(content); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return fileError("write", tmp.Close())
}

// unfinished matches the names that createBeside gives, and in them the name of the file that is to be replaced.
var unfinished = regexp.MustCompile(`^\.(.+)\.[0-9]+-[0-9]+\.tmp$`)

// createBeside creates an empty file of a new name in the folder of name. Unlike os.CreateTemp it leaves the mode to the umask.
func createBeside(name string, mode fs.FileMode) (*os.File, error) {
	for i := 0; ; i++ {
		tmp := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s.%d-%d.tmp", filepath.Base(name), os.Getpid(), i))
		f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) || i > 1000 {
			return f, err
		}
	}
}

func writeDevice(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// fileError says in the user's words what went wrong with a file.
func fileError(what string, err error) error {
	var path *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &path):
		return fmt.Errorf("cannot %s %s: %w", what, path.Path, path.Err)
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}
