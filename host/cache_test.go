package host_test

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// cacheFiles are the files of a compilation cache, with the times at which they were written.
func cacheFiles(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	files := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err == nil {
			files[path] = st.ModTime()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// useCache makes a host with the cache and runs two plugins on it.
func useCache(t *testing.T, dir string) {
	t.Helper()
	h, err := host.New(t.Context(), host.Config{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"echo", "fail"} {
		swap(t, h, name, "")
	}
	if got := run(t, h, "echo", "x") + run(t, h, "fail:fine", ""); got != "xfine" {
		t.Errorf("the plugins give %q", got)
	}
}

// TestCacheCompilesOnce checks that a second host compiles nothing that is in the cache: no file is written, none written anew.
func TestCacheCompilesOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "cache")
	useCache(t, dir)
	before := cacheFiles(t, dir)
	if len(before) < 4 {
		t.Fatalf("the cache has %d files, want the kernel, WASI and two plugins", len(before))
	}
	useCache(t, dir)
	if after := cacheFiles(t, dir); !maps.Equal(before, after) {
		t.Errorf("the second host wrote to the cache: %v, then %v", before, after)
	}
}

// TestCacheIsPrivate checks who can read and write the cache, and that one that others can write to is refused.
func TestCacheIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it has no such permissions
	}
	dir := filepath.Join(t.TempDir(), "cache")
	useCache(t, dir)
	st, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o700 {
		t.Errorf("the cache's permissions are %v, want 0700", st.Mode().Perm())
	}
	for _, mode := range []fs.FileMode{0o770, 0o720, 0o702, 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		_, err := host.New(t.Context(), host.Config{CacheDir: dir})
		wantCode(t, err, abi.CodeInvalid, dir, "chmod 700")
	}
	if err := os.Chmod(dir, 0o755); err != nil { // they may read it: it holds nothing but code
		t.Fatal(err)
	}
	useCache(t, dir)
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		_, err := host.New(t.Context(), host.Config{CacheDir: bad})
		wantCode(t, err, abi.CodeInvalid, "compilation cache")
	}
}

// TestCacheDamage checks that a file of the cache which is gone, empty, cut short or changed costs a compilation, and no more.
func TestCacheDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	useCache(t, dir)
	names := slices.Sorted(maps.Keys(cacheFiles(t, dir)))
	for what, damage := range map[string]func(b []byte) []byte{
		"gone":      nil,
		"empty":     func([]byte) []byte { return nil },
		"one byte":  func(b []byte) []byte { return b[:1] },
		"cut short": func(b []byte) []byte { return b[:len(b)/2] },
		"no end":    func(b []byte) []byte { return b[:len(b)-3] },
		"text":      func([]byte) []byte { return []byte("this is no machine code, but it is longer than a header") },
		"changed":   func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b },
	} {
		t.Run(what, func(t *testing.T) {
			for _, name := range names {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if damage == nil {
					err = os.Remove(name)
				} else {
					err = os.WriteFile(name, damage(b), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				useCache(t, dir)
				useCache(t, dir) // what was loaded before the damage showed is missing until it is needed again
				if got := slices.Sorted(maps.Keys(cacheFiles(t, dir))); !slices.Equal(got, names) {
					t.Fatalf("the cache has the files %q, want %q again", got, names)
				}
			}
		})
	}
}

// TestCacheOff checks that a host without a cache works and writes none.
func TestCacheOff(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", home)
	useCache(t, "off")
	if files := cacheFiles(t, home); len(files) != 0 {
		t.Errorf("there are files: %v", files)
	}
	useCache(t, "") // the default
	if files := cacheFiles(t, filepath.Join(home, "taskhost")); len(files) < 3 && runtime.GOOS == "linux" {
		t.Errorf("the default cache has %d files", len(files))
	}
}
