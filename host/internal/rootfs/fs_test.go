package rootfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"

	"github.com/taskhost/taskhost/host/internal/rootfs"
)

// tree makes a folder: a name that ends in "/" is a folder, content that begins with "->" a symbolic link.
func tree(t testing.TB, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(entries); i += 2 {
		name, content := filepath.Join(dir, entries[i]), entries[i+1]
		var err error
		target, link := strings.CutPrefix(content, "->")
		switch {
		case strings.HasSuffix(entries[i], "/"):
			err = os.MkdirAll(name, 0o755)
		case link:
			err = os.Symlink(target, name)
		default:
			err = os.WriteFile(name, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func must(t testing.TB, errno sys.Errno) {
	t.Helper()
	if errno != 0 {
		t.Fatal(errno)
	}
}

func openFile(t testing.TB, f *rootfs.FS, name string, flag sys.Oflag) sys.File {
	t.Helper()
	file, errno := f.OpenFile(name, flag, 0o644)
	must(t, errno)
	t.Cleanup(func() { file.Close() })
	return file
}

func content(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFailedRenameOverAFolderKeepsIt(t *testing.T) {
	dir := tree(t, "a/", "", "a/b/", "", "up", "->a")
	f := open(t, dir, false)
	for _, to := range []string{"a/b", "up/b"} {
		if errno := f.Rename("a", to); errno != sys.EINVAL {
			t.Errorf("%s: %v", to, errno)
		}
		if st, err := os.Stat(filepath.Join(dir, "a/b")); err != nil || !st.IsDir() {
			t.Errorf("%s: the folder is gone: %v", to, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	dir := tree(t, "f", "content", "dir/", "", "link", "->f")
	f := open(t, dir, true)
	for name, call := range map[string]func() sys.Errno{
		"open O_WRONLY":       func() sys.Errno { _, errno := f.OpenFile("f", sys.O_WRONLY, 0); return errno },
		"open O_RDWR":         func() sys.Errno { _, errno := f.OpenFile("f", sys.O_RDWR, 0); return errno },
		"open O_TRUNC":        func() sys.Errno { _, errno := f.OpenFile("f", sys.O_WRONLY|sys.O_TRUNC, 0); return errno },
		"create":              func() sys.Errno { _, errno := f.OpenFile("new", sys.O_CREAT, 0o644); return errno },
		"create, exclusively": func() sys.Errno { _, errno := f.OpenFile("new", sys.O_CREAT|sys.O_EXCL, 0o644); return errno },
		"mkdir":               func() sys.Errno { return f.Mkdir("new", 0o755) },
		"chmod":               func() sys.Errno { return f.Chmod("f", 0o600) },
		"rmdir":               func() sys.Errno { return f.Rmdir("dir") },
		"unlink":              func() sys.Errno { return f.Unlink("f") },
		"rename":              func() sys.Errno { return f.Rename("f", "g") },
		"link":                func() sys.Errno { return f.Link("f", "g") },
		"symlink":             func() sys.Errno { return f.Symlink("f", "g") },
		"utimens":             func() sys.Errno { return f.Utimens("f", 1, 1) },
	} {
		if got := call(); got != sys.EROFS {
			t.Errorf("%s: %v", name, got)
		}
	}
	file := openFile(t, f, "f", sys.O_RDONLY|sys.O_CREAT) // it is there
	if errno := file.Truncate(0); errno != sys.EROFS {
		t.Errorf("truncate: %v", errno)
	}
	if errno := file.Utimens(1, 1); errno != sys.EROFS {
		t.Errorf("utimens of the file: %v", errno)
	}
	if _, errno := file.Write([]byte("x")); errno != sys.EBADF {
		t.Errorf("write: %v", errno)
	}
	if _, errno := file.Pwrite([]byte("x"), 0); errno != sys.EBADF {
		t.Errorf("pwrite: %v", errno)
	}
	if got := content(t, filepath.Join(dir, "f")); got != "content" {
		t.Errorf("content %q", got)
	}
}

func TestStat(t *testing.T) {
	dir := tree(t, "f", "12345", "link", "->f", "dir/", "")
	f := open(t, dir, false)
	must(t, f.Link("f", "hard"))
	const atim, mtim = 1_000_000_000_123_456_789, 2_000_000_000_987_654_321
	must(t, f.Utimens("link", atim, mtim))
	byPath, errno := f.Stat("link")
	must(t, errno)
	file := openFile(t, f, "f", sys.O_RDONLY)
	byFile, errno := file.Stat()
	must(t, errno)
	for _, st := range []wasys.Stat_t{byPath, byFile} {
		if st.Size != 5 || st.Mode != 0o644 || st.Nlink != 2 || st.Atim != atim || st.Mtim != mtim || st.Ino == 0 || st.Dev == 0 {
			t.Errorf("%+v", st)
		}
	}
	dev, errno := file.Dev()
	must(t, errno)
	ino, errno := file.Ino()
	must(t, errno)
	if dev != byPath.Dev || ino != byPath.Ino {
		t.Errorf("dev %d, ino %d, want %d, %d", dev, ino, byPath.Dev, byPath.Ino)
	}
	st, errno := f.Lstat("link")
	must(t, errno)
	if st.Mode.Type() != fs.ModeSymlink || st.Ino == ino {
		t.Errorf("the link: %+v", st)
	}

	// One time is kept, then the other, then both.
	must(t, f.Utimens("f", sys.UTIME_OMIT, 7))
	must(t, file.Utimens(8, sys.UTIME_OMIT))
	must(t, file.Utimens(sys.UTIME_OMIT, sys.UTIME_OMIT))
	must(t, f.Utimens("f", sys.UTIME_OMIT, sys.UTIME_OMIT))
	if errno := f.Utimens("none", sys.UTIME_OMIT, sys.UTIME_OMIT); errno != sys.ENOENT {
		t.Error(errno)
	}
	if st, _ := file.Stat(); st.Atim != 8 || st.Mtim != 7 {
		t.Errorf("times %d, %d", st.Atim, st.Mtim)
	}
	folder := openFile(t, f, "dir", sys.O_DIRECTORY)
	must(t, folder.Utimens(int64(time.Second), int64(time.Minute)))
	if st, _ := f.Stat("dir"); st.Mtim != int64(time.Minute) {
		t.Errorf("mtime of the folder %d", st.Mtim)
	}
	must(t, f.Chmod("f", 0o4777)) // no setuid
	if st, _ := f.Stat("f"); st.Mode != 0o777 {
		t.Errorf("mode %v", st.Mode)
	}
}

func TestTheFolderIsTheOneThatWasOpened(t *testing.T) {
	base := tree(t, "dir/", "", "dir/f", "mine")
	f := open(t, filepath.Join(base, "dir"), false)
	if err := os.Rename(filepath.Join(base, "dir"), filepath.Join(base, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(base, "dir")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	n, errno := openFile(t, f, "f", sys.O_RDONLY).Read(buf)
	must(t, errno)
	if string(buf[:n]) != "mine" {
		t.Errorf("read %q", buf[:n])
	}
}

func TestOpenAndClose(t *testing.T) {
	dir := tree(t, "f", "content")
	for _, wrong := range []string{"", filepath.Join(dir, "none"), filepath.Join(dir, "f")} {
		if _, err := rootfs.Open(wrong, false); err == nil {
			t.Errorf("%q was opened", wrong)
		}
	}
	f, err := rootfs.Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	file := openFile(t, f, "f", sys.O_RDWR)
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, errno := f.Stat("f"); errno != sys.EBADF {
		t.Errorf("stat of a closed FS: %v", errno)
	}
	if _, errno := f.OpenFile(".", sys.O_RDONLY, 0); errno != sys.ENOENT {
		t.Errorf("wazero would panic: %v", errno)
	}
	if n, errno := file.Write([]byte("x")); n != 1 || errno != 0 {
		t.Errorf("a file that was open: %d, %v", n, errno)
	}
	must(t, file.Close())
}

func TestOpenFilesAreBounded(t *testing.T) {
	dir := tree(t, "f", "")
	f := open(t, dir, false)
	var files []sys.File
	for {
		file, errno := f.OpenFile("f", sys.O_RDONLY, 0)
		if errno == sys.EAGAIN {
			break
		}
		must(t, errno)
		if files = append(files, file); len(files) > 10_000 {
			t.Fatal("no bound")
		}
	}
	must(t, files[0].Close())
	must(t, files[0].Close()) // counts once
	files[0] = openFile(t, f, "f", sys.O_RDONLY)
	if _, errno := f.OpenFile("f", sys.O_RDONLY, 0); errno != sys.EAGAIN {
		t.Error(errno)
	}
	for _, file := range files {
		must(t, file.Close())
	}
	for range 2000 { // failures do not count
		if _, errno := f.OpenFile("f", sys.O_DIRECTORY, 0); errno != sys.ENOTDIR {
			t.Fatal(errno)
		}
	}
	openFile(t, f, "f", sys.O_RDONLY)
}
