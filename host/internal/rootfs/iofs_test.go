package rootfs_test

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"

	"github.com/taskhost/taskhost/host/internal/rootfs"
)

// ioFS is an FS as package io/fs knows it, so that the checks of testing/fstest apply.
type ioFS struct{ fs *rootfs.FS }

// ioFile is an open file of an ioFS.
type ioFile struct {
	fs   ioFS
	file sys.File
	name string
}

// ioInfo describes a file; with a dirent it is an entry of the folder of that path.
type ioInfo struct {
	name string
	st   wasys.Stat_t
}

type ioEntry struct {
	sys.Dirent
	fs  ioFS
	dir string
}

func asError(op, name string, errno sys.Errno) error {
	if errno == 0 {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: errno.Unwrap()}
}

func (f ioFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	file, errno := f.fs.OpenFile(name, sys.O_RDONLY, 0)
	if errno != 0 {
		return nil, asError("open", name, errno)
	}
	return ioFile{f, file, name}, nil
}

func (f ioFS) Lstat(name string) (fs.FileInfo, error) {
	st, errno := f.fs.Lstat(name)
	return ioInfo{path.Base(name), st}, asError("lstat", name, errno)
}

func (f ioFS) ReadLink(name string) (string, error) {
	target, errno := f.fs.Readlink(name)
	return target, asError("readlink", name, errno)
}

func (f ioFile) Stat() (fs.FileInfo, error) {
	st, errno := f.file.Stat()
	return ioInfo{path.Base(f.name), st}, asError("stat", f.name, errno)
}

func (f ioFile) Read(b []byte) (int, error) {
	n, errno := f.file.Read(b)
	if n == 0 && errno == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, asError("read", f.name, errno)
}

func (f ioFile) Seek(offset int64, whence int) (int64, error) {
	n, errno := f.file.Seek(offset, whence)
	return n, asError("seek", f.name, errno)
}

func (f ioFile) ReadAt(b []byte, off int64) (int, error) {
	n, errno := f.file.Pread(b, off)
	if errno == 0 && n < len(b) {
		return n, io.EOF
	}
	return n, asError("readat", f.name, errno)
}

func (f ioFile) Close() error { return asError("close", f.name, f.file.Close()) }

func (f ioFile) ReadDir(n int) ([]fs.DirEntry, error) {
	dirents, errno := f.file.Readdir(n)
	entries := make([]fs.DirEntry, 0, len(dirents))
	for _, d := range dirents {
		entries = append(entries, ioEntry{d, f.fs, f.name})
	}
	if errno == 0 && n > 0 && len(entries) == 0 {
		return nil, io.EOF
	}
	return entries, asError("readdir", f.name, errno)
}

func (i ioInfo) Name() string       { return i.name }
func (i ioInfo) Size() int64        { return i.st.Size }
func (i ioInfo) Mode() fs.FileMode  { return i.st.Mode }
func (i ioInfo) ModTime() time.Time { return time.Unix(0, i.st.Mtim) }
func (i ioInfo) IsDir() bool        { return i.st.Mode.IsDir() }
func (i ioInfo) Sys() any           { return nil }

func (e ioEntry) Name() string               { return e.Dirent.Name }
func (e ioEntry) IsDir() bool                { return e.Dirent.IsDir() }
func (e ioEntry) Type() fs.FileMode          { return e.Dirent.Type }
func (e ioEntry) Info() (fs.FileInfo, error) { return e.fs.Lstat(path.Join(e.dir, e.Dirent.Name)) }
func (e ioEntry) String() string             { return fs.FormatDirEntry(e) }

func TestAsIOFS(t *testing.T) {
	dir := tree(t, "f", "content", "dir/", "", "dir/g", strings.Repeat("x", 100_000), "dir/sub/", "", "dir/sub/h", "", "empty/", "", "link", "->f")
	f := ioFS{open(t, dir, true)}
	if err := fstest.TestFS(f, "f", "dir/g", "dir/sub/h", "empty", "link"); err != nil {
		t.Error(err)
	}
	var all []string
	err := fs.WalkDir(f, ".", func(p string, _ fs.DirEntry, err error) error {
		all = append(all, p)
		return err
	})
	if want := []string{".", "dir", "dir/g", "dir/sub", "dir/sub/h", "empty", "f", "link"}; err != nil || !slices.Equal(all, want) {
		t.Errorf("%v, %v", all, err)
	}
}
