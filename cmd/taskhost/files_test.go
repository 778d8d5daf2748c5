package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// TestWriteFileKeepsPermissions: a file that is there keeps its mode, and only its content changes.
func TestWriteFileKeepsPermissions(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(name, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(name, []byte("after")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != "after" {
		t.Errorf("%q, %v", got, err)
	}
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	expectFiles(t, filepath.Dir(name), "out")
}

// TestWriteFileFails: what cannot be written leaves nothing behind, and what was there stays.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := writeFile(filepath.Join(dir, "nowhere", "out"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(sub, []byte("x")); err == nil {
		t.Error("a folder was written over")
	}
	expectFiles(t, dir, "sub")
}

func expectFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
		t.Errorf("files %q, want %q", got, want)
	}
}

// TestReadInputEndsWithItsContext: an interrupt while standard input is slow ends the command.
func TestReadInputEndsWithItsContext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&abi.Error{Code: abi.CodeCancelled})
	a := &app{stdin: r}
	if _, err := a.readInput(ctx, stdio); exitCode(err) != exitCancelled {
		t.Errorf("%v", err)
	}
}

// TestSecondInterruptKills: the first signal cancels, the second ends the process.
func TestSecondInterruptKills(t *testing.T) {
	signals := make(chan os.Signal)
	killed := make(chan int, 1)
	var stderr bytes.Buffer
	a := &app{stderr: &stderr, signals: signals, kill: func(code int) { killed <- code }}
	a.console = &console{w: &stderr}
	ctx, stop := a.interruptible("cancelling")
	signals <- os.Interrupt
	<-ctx.Done()
	if exitCode(context.Cause(ctx)) != exitCancelled {
		t.Errorf("%v", context.Cause(ctx))
	}
	signals <- os.Interrupt
	if code := <-killed; code != exitCancelled {
		t.Errorf("exit code %d", code)
	}
	stop()
}
