package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a command line in this process.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(name string) string { return env[name] }}
	code = a.run(args)
	return code, out.String(), errs.String()
}

// TestFolderInUse: a folder that another process works on cannot be used, and is left as it is; the line on stderr says why.
func TestFolderInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := openStore(t.Context(), dir, true)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"TASKHOST_DATA": dir}
	for _, args := range [][]string{{"tasks", "ls"}, {"queues", "pause", "a"}, {"run", "--detach", "text"}, {"db", "vacuum"}} {
		code, stdout, stderr := run(t, env, args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, "is in use by process ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := run(t, env, "tasks", "ls"); code != exitOK {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// TestDataFolderIsPrivate: nobody else reads the inputs and outputs of tasks.
func TestDataFolderIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if code, _, stderr := run(t, nil, "queues", "pause", "x", "--data", dir); code != exitOK {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	for _, name := range []string{dir, filepath.Join(dir, dataFile)} {
		st, err := os.Stat(name)
		if err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}
