package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, cfg Config) *Log {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "audit.jsonl")
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func last(t *testing.T, l *Log, n int) []Entry {
	t.Helper()
	entries, err := l.Last(n)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestEntriesAreKept(t *testing.T) {
	var out bytes.Buffer
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, Config{Path: path, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	who := auth.Principal{ID: "abc", Name: "ci", Role: auth.RoleAdmin}
	l.Add(Entry{Principal: who, Address: "192.0.2.1", Action: "plugin.upload", Object: "text", Result: "ok"})
	l.Add(Entry{Principal: who, Action: "task.cancel", Object: strings.Repeat("x", 5000) + "\xff\n", Result: "not_found", Error: "no such task"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Add(Entry{Action: "late"})
	if !strings.Contains(out.String(), "action=plugin.upload object=text result=ok") || !strings.Contains(out.String(), "cannot be written") {
		t.Errorf("log: %s", out.String())
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	again := open(t, Config{Path: path})
	again.Add(Entry{Action: "third", Result: "ok", Time: time.Unix(1, 0)})
	entries := last(t, again, 10)
	if len(entries) != 3 || entries[0].Action != "third" || entries[2].Principal != who || entries[2].Address != "192.0.2.1" ||
		len(entries[1].Object) > maxText+3 || entries[2].Time.IsZero() {
		t.Errorf("%+v", entries)
	}
	if one := last(t, again, 1); len(one) != 1 || one[0].Action != "third" {
		t.Errorf("%+v", one)
	}
}

func TestFilesAreBounded(t *testing.T) {
	l := open(t, Config{MaxBytes: 64 << 10, MaxFiles: 3})
	const n = 2000
	for i := range n {
		l.Add(Entry{Action: "a", Object: fmt.Sprint(i, strings.Repeat(" ", 200)), Result: "ok"})
	}
	files, err := filepath.Glob(l.cfg.Path + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 64<<10 {
			t.Errorf("%s: %d bytes, %v", f, st.Size(), err)
		}
	}
	entries := last(t, l, n)
	if len(entries) < 300 || len(entries) >= n {
		t.Fatalf("%d entries", len(entries))
	}
	for i, e := range entries { // without a gap
		if !strings.HasPrefix(e.Object, fmt.Sprint(n-1-i, " ")) {
			t.Fatalf("entry %d is %s", i, e.Object)
		}
	}
}

// TestBrokenLines has a line that a kill cut off, one that is longer than a block, and one that is none.
func TestBrokenLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	text := `{"action":"one"}` + "\n" + strings.Repeat("x", 3*block) + "\nnonsense\n" + `{"action":"two"}` + "\n" + `{"action":"cut o`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, Config{Path: path, MaxBytes: 8 << 20})
	l.Add(Entry{Action: "three"})
	var got []string
	for _, e := range last(t, l, 10) {
		got = append(got, e.Action)
	}
	if strings.Join(got, " ") != "three two one" {
		t.Errorf("%q", got)
	}
}

func TestWithoutFile(t *testing.T) {
	l, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	l.Add(Entry{Action: "a"})
	if entries := last(t, l, 5); len(entries) != 0 {
		t.Errorf("%+v", entries)
	}
	for _, cfg := range []Config{{MaxBytes: 1}, {MaxFiles: -1}, {Path: t.TempDir()}} {
		if _, err := Open(cfg); abi.CodeOf(err) != abi.CodeInvalid {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestNothingIsLostWhenFilesCannotMove has a folder in the place of an older file: of the last one, of one between, and of the only one.
func TestNothingIsLostWhenFilesCannotMove(t *testing.T) {
	for _, files := range []int{2, 3, 5} {
		var out bytes.Buffer
		l := open(t, Config{MaxBytes: 64 << 10, MaxFiles: files, Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		for n := 1; n < files; n++ {
			if err := os.WriteFile(l.name(n), fmt.Appendf(nil, "{\"action\":\"old\",\"object\":\"%d \"}\n", n), owner); err != nil {
				t.Fatal(err)
			}
		}
		blocked := l.name(files - 1)
		if err := errors.Join(os.Remove(blocked), os.MkdirAll(filepath.Join(blocked, "x"), 0o700)); err != nil {
			t.Fatal(err)
		}
		const many = 500
		for i := range many {
			if i%50 == 0 {
				l.again = time.Time{} // a minute later
			}
			l.Add(Entry{Action: "a", Object: fmt.Sprint(i, strings.Repeat(" ", 500))})
		}
		if n := strings.Count(out.String(), "grows beyond"); n != 1 || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%d files: %d complaints:\n%.500s", files, n, out.String())
		}
		entries := last(t, l, 2*many)
		if len(entries) != many+files-2 {
			t.Fatalf("%d files: %d entries are left", files, len(entries))
		}
		for i, e := range entries[:many] {
			if !strings.HasPrefix(e.Object, fmt.Sprint(many-1-i, " ")) {
				t.Fatalf("%d files: entry %d is %s", files, i, e.Object)
			}
		}
		for i, e := range entries[many:] {
			if !strings.HasPrefix(e.Object, fmt.Sprint(i+1, " ")) {
				t.Fatalf("%d files: old entry %d is %s", files, i, e.Object)
			}
		}
		// Once the folder is gone, another file begins, within the bounds.
		if err := os.RemoveAll(blocked); err != nil {
			t.Fatal(err)
		}
		l.Add(Entry{Action: "b"})
		if _, err := os.Stat(blocked); err == nil {
			t.Errorf("%d files: it was tried again at once", files)
		}
		l.again = time.Time{}
		l.Add(Entry{Action: "c"})
		if st, err := os.Stat(l.cfg.Path); err != nil || st.Size() > 1000 || l.grows || len(last(t, l, 2*many)) != many+files {
			t.Errorf("%d files: %v, %v, %v", files, st, err, l.grows)
		}
	}
}

// TestFilePutAside has the file that a process left which was killed while it moved the files.
func TestFilePutAside(t *testing.T) {
	l := open(t, Config{MaxBytes: 64 << 10, MaxFiles: 4})
	l.Add(Entry{Action: "second"})
	if err := os.Rename(l.cfg.Path, l.aside()); err != nil {
		t.Fatal(err)
	}
	l = open(t, Config{Path: l.cfg.Path, MaxBytes: 64 << 10, MaxFiles: 4})
	for l.again = time.Now().Add(time.Hour); l.size < 64<<10; { // full
		l.Add(Entry{Action: "third", Object: strings.Repeat("x", 900)})
	}
	if entries := last(t, l, 1000); entries[len(entries)-1].Action != "second" {
		t.Errorf("%+v", entries[len(entries)-1])
	}
	l.again = time.Time{}
	l.Add(Entry{Action: "fourth"})
	files, err := filepath.Glob(l.cfg.Path + "*")
	entries := last(t, l, 1000)
	if err != nil || len(files) != 3 || entries[0].Action != "fourth" || entries[1].Action != "third" || entries[len(entries)-1].Action != "second" {
		t.Errorf("%v, %v, %d entries", files, err, len(entries))
	}
}

func TestHammer(t *testing.T) {
	l := open(t, Config{MaxBytes: 64 << 10, MaxFiles: 4})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				l.Add(Entry{Action: "a", Object: strings.Repeat("x", 300), Result: "ok"})
			}
		})
		wg.Go(func() {
			for range 20 {
				if _, err := l.Last(50); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(last(t, l, 10_000)); n < 300 {
		t.Errorf("%d entries", n)
	}
}

// FuzzBackwards holds that whatever is in the file can be read, in order and no more than asked for.
func FuzzBackwards(f *testing.F) {
	f.Add([]byte("{\"action\":\"a\"}\n{}\n\n{"), 2)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n &= 0xff; n == 0 {
			return
		}
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if entries, err := backwards(file, nil, n); err != nil || len(entries) > n {
			t.Errorf("%d entries, %v", len(entries), err)
		}
	})
}
