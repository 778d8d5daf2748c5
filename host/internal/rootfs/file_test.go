package rootfs_test

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

func read(t testing.TB, f sys.File, size int) string {
	t.Helper()
	buf := make([]byte, size)
	n, errno := f.Read(buf)
	must(t, errno)
	return string(buf[:n])
}

func TestReadWriteSeek(t *testing.T) {
	dir := tree(t)
	file := openFile(t, open(t, dir, false), "f", sys.O_RDWR|sys.O_CREAT|sys.O_EXCL)
	n, errno := file.Write([]byte("0123456789"))
	must(t, errno)
	if n != 10 {
		t.Errorf("wrote %d", n)
	}
	if got := read(t, file, 5); got != "" {
		t.Errorf("at the end: %q", got)
	}
	for _, tt := range []struct {
		offset int64
		whence int
		want   int64
		errno  sys.Errno
	}{
		{2, io.SeekStart, 2, 0}, {3, io.SeekCurrent, 5, 0}, {-1, io.SeekEnd, 9, 0}, {-10, io.SeekStart, 0, sys.EINVAL}, {0, 3, 0, sys.EINVAL},
		{0, -1, 0, sys.EINVAL}, {4, io.SeekStart, 4, 0},
	} {
		got, errno := file.Seek(tt.offset, tt.whence)
		if errno != tt.errno || errno == 0 && got != tt.want {
			t.Errorf("seek %d from %d: %d, %v", tt.offset, tt.whence, got, errno)
		}
	}
	buf := make([]byte, 20)
	if n, errno := file.Pread(buf, 7); n != 3 || errno != 0 || string(buf[:n]) != "789" {
		t.Errorf("pread: %q, %v", buf[:n], errno)
	}
	if n, errno := file.Pread(buf, 100); n != 0 || errno != 0 {
		t.Errorf("pread past the end: %d, %v", n, errno)
	}
	if _, errno := file.Pread(buf, -1); errno != sys.EINVAL {
		t.Errorf("pread before the beginning: %v", errno)
	}
	if n, errno := file.Pwrite([]byte("ab"), 0); n != 2 || errno != 0 {
		t.Errorf("pwrite: %d, %v", n, errno)
	}
	if _, errno := file.Pwrite([]byte("ab"), -1); errno != sys.EINVAL {
		t.Errorf("pwrite before the beginning: %v", errno)
	}
	if n, errno := file.Pwrite([]byte("z"), 11); n != 1 || errno != 0 {
		t.Errorf("pwrite past the end: %d, %v", n, errno)
	}
	if got := read(t, file, 3); got != "456" { // pread and pwrite left the position alone
		t.Errorf("read %q", got)
	}
	for _, call := range []func([]byte) (int, sys.Errno){file.Read, file.Write} {
		if n, errno := call(nil); n != 0 || errno != 0 {
			t.Errorf("nothing: %d, %v", n, errno)
		}
	}
	must(t, file.Sync())
	must(t, file.Datasync())
	if got := content(t, filepath.Join(dir, "f")); got != "ab23456789\x00z" {
		t.Errorf("content %q", got)
	}
	must(t, file.Truncate(3))
	must(t, file.Truncate(5))
	if errno := file.Truncate(-1); errno != sys.EINVAL {
		t.Error(errno)
	}
	if got := content(t, filepath.Join(dir, "f")); got != "ab2\x00\x00" {
		t.Errorf("content %q", got)
	}
	if isDir, errno := file.IsDir(); isDir || errno != 0 {
		t.Errorf("IsDir %v, %v", isDir, errno)
	}
	if _, errno := file.Readdir(1); errno != sys.ENOTDIR {
		t.Error(errno)
	}
}

func TestOpenFlags(t *testing.T) {
	dir := tree(t, "f", "0123456789")
	f := open(t, dir, false)
	readable, writable := openFile(t, f, "f", sys.O_RDONLY), openFile(t, f, "f", sys.O_WRONLY|sys.O_SYNC|sys.O_DSYNC|sys.O_RSYNC|sys.O_NONBLOCK)
	if _, errno := readable.Write([]byte("x")); errno != sys.EBADF {
		t.Errorf("write to O_RDONLY: %v", errno)
	}
	if _, errno := writable.Read(make([]byte, 1)); errno != sys.EBADF {
		t.Errorf("read from O_WRONLY: %v", errno)
	}
	if _, errno := f.OpenFile("f", sys.O_CREAT|sys.O_EXCL|sys.O_TRUNC|sys.O_RDWR, 0); errno != sys.EEXIST {
		t.Error(errno)
	}
	if got := content(t, filepath.Join(dir, "f")); got != "0123456789" {
		t.Errorf("it was truncated: %q", got)
	}
	openFile(t, f, "f", sys.O_TRUNC|sys.O_RDWR)
	if got := content(t, filepath.Join(dir, "f")); got != "" {
		t.Errorf("it was not truncated: %q", got)
	}

	file, errno := f.OpenFile("setuid", sys.O_CREAT|sys.O_RDWR, fs.ModeSetuid|0o755)
	must(t, errno)
	defer file.Close()
	if st, err := os.Stat(filepath.Join(dir, "setuid")); err != nil || st.Mode()&^0o777 != 0 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

func TestAppend(t *testing.T) {
	dir := tree(t, "f", "start ")
	f := open(t, dir, false)
	file := openFile(t, f, "f", sys.O_RDWR|sys.O_APPEND)
	write := func(s string) {
		t.Helper()
		n, errno := file.Write([]byte(s))
		must(t, errno)
		if n != len(s) {
			t.Errorf("wrote %d of %q", n, s)
		}
	}
	want := func(s string) {
		t.Helper()
		if got := content(t, filepath.Join(dir, "f")); got != s {
			t.Errorf("content %q, want %q", got, s)
		}
	}
	if !file.IsAppend() {
		t.Error("not in append mode")
	}
	write("one ")
	_, errno := file.Seek(0, io.SeekStart)
	must(t, errno)
	if got := read(t, file, 5); got != "start" {
		t.Errorf("read %q", got)
	}
	write("two ")
	want("start one two ")
	must(t, file.SetAppend(false))
	_, errno = file.Seek(0, io.SeekStart)
	must(t, errno)
	write("START")
	_, errno = file.Pwrite([]byte("ONE"), 6)
	must(t, errno)
	want("START ONE two ")
	must(t, file.SetAppend(true))
	must(t, file.SetAppend(true))
	write("end")
	want("START ONE two end")
	must(t, file.Close())
	if errno := file.SetAppend(true); errno != sys.EBADF {
		t.Error(errno)
	}
}

func TestAppendHammer(t *testing.T) {
	dir := tree(t)
	f := open(t, dir, false)
	const writers, lines = 8, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			file, errno := f.OpenFile("log", sys.O_WRONLY|sys.O_CREAT|sys.O_APPEND, 0o644)
			if errno != 0 {
				t.Error(errno)
				return
			}
			defer file.Close()
			for range lines {
				if _, errno := file.Write(fmt.Appendf(nil, "line of %d\n", w)); errno != 0 {
					t.Error(errno)
					return
				}
			}
		})
	}
	wg.Wait()
	counts := map[string]int{}
	for line := range strings.Lines(content(t, filepath.Join(dir, "log"))) {
		counts[line]++
	}
	for w := range writers {
		if n := counts[fmt.Sprintf("line of %d\n", w)]; n != lines {
			t.Errorf("writer %d: %d lines", w, n)
		}
	}
}

func TestClosedFile(t *testing.T) {
	f := open(t, tree(t, "f", "x", "dir/", ""), false)
	for _, name := range []string{"f", "dir"} {
		file := openFile(t, f, name, sys.O_RDONLY)
		must(t, file.Close())
		must(t, file.Close())
		calls := map[string]func() sys.Errno{
			"stat":     func() sys.Errno { _, errno := file.Stat(); return errno },
			"dev":      func() sys.Errno { _, errno := file.Dev(); return errno },
			"ino":      func() sys.Errno { _, errno := file.Ino(); return errno },
			"seek":     func() sys.Errno { _, errno := file.Seek(0, io.SeekStart); return errno },
			"readdir":  func() sys.Errno { _, errno := file.Readdir(1); return errno },
			"sync":     file.Sync,
			"datasync": file.Datasync,
			"utimens":  func() sys.Errno { return file.Utimens(1, 1) },
		}
		if name == "f" {
			maps.Copy(calls, map[string]func() sys.Errno{
				"read":     func() sys.Errno { _, errno := file.Read(make([]byte, 1)); return errno },
				"pread":    func() sys.Errno { _, errno := file.Pread(make([]byte, 1), 0); return errno },
				"write":    func() sys.Errno { _, errno := file.Write(make([]byte, 1)); return errno },
				"pwrite":   func() sys.Errno { _, errno := file.Pwrite(make([]byte, 1), 0); return errno },
				"truncate": func() sys.Errno { return file.Truncate(0) },
			})
		}
		for what, call := range calls {
			if errno := call(); errno != sys.EBADF {
				t.Errorf("%s of %s: %v", what, name, errno)
			}
		}
	}
}

func TestReaddir(t *testing.T) {
	dir := tree(t, "f", "", "dir/", "", "link", "->f", "out", "->../x")
	f := open(t, dir, false)
	folder := openFile(t, f, ".", sys.O_RDONLY)
	if isDir, errno := folder.IsDir(); !isDir || errno != 0 {
		t.Errorf("IsDir %v, %v", isDir, errno)
	}
	list := func(n int) map[string]fs.FileMode {
		t.Helper()
		all := map[string]fs.FileMode{}
		for {
			dirents, errno := folder.Readdir(n)
			must(t, errno)
			for _, d := range dirents {
				if _, twice := all[d.Name]; twice {
					t.Errorf("%q came twice", d.Name)
				}
				all[d.Name] = d.Type
				if st, errno := f.Lstat(d.Name); errno != 0 || st.Ino != d.Ino {
					t.Errorf("%q: inode %d, want %d, %v", d.Name, d.Ino, st.Ino, errno)
				}
			}
			if n <= 0 || len(dirents) < n {
				return all
			}
		}
	}
	want := map[string]fs.FileMode{"f": 0, "dir": fs.ModeDir, "link": fs.ModeSymlink, "out": fs.ModeSymlink}
	rewind := func() {
		t.Helper()
		pos, errno := folder.Seek(0, io.SeekStart)
		must(t, errno)
		if pos != 0 {
			t.Errorf("position %d", pos)
		}
	}
	for _, n := range []int{-1, 0, 1, 2, 3, 4, 5, 100} {
		if got := list(n); !maps.Equal(got, want) {
			t.Errorf("%d at a time: %v", n, got)
		}
		if rest := list(n); len(rest) != 0 {
			t.Errorf("after the end: %v", rest)
		}
		rewind()
	}
	must(t, f.Mkdir("new", 0o755))
	must(t, f.Unlink("f"))
	rewind()
	if got, want := slices.Sorted(maps.Keys(list(2))), []string{"dir", "link", "new", "out"}; !slices.Equal(got, want) {
		t.Errorf("after changes: %v", got)
	}
	for _, whence := range []int{io.SeekCurrent, io.SeekEnd, 7} {
		if _, errno := folder.Seek(0, whence); errno != sys.EINVAL {
			t.Errorf("whence %d: %v", whence, errno)
		}
	}
	if _, errno := folder.Read(make([]byte, 1)); errno != sys.EISDIR {
		t.Errorf("read: %v", errno)
	}
	if errno := folder.Truncate(0); errno != sys.EISDIR {
		t.Errorf("truncate: %v", errno)
	}
	must(t, folder.Sync())
	must(t, folder.Datasync())
}
