//go:build linux || darwin

package rootfs_test

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// TestOnlyFilesAndFolders opens what is neither. None of it may block.
func TestOnlyFilesAndFolders(t *testing.T) {
	dir, err := os.MkdirTemp("", "rootfs") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	names := []string{"link", "fifo", "socket"}
	if err := os.Symlink("fifo", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	const null = 1<<8 | 3                                                                            // the number of /dev/null on Linux
	if err := syscall.Mknod(filepath.Join(dir, "device"), syscall.S_IFCHR|0o666, null); err == nil { // it takes rights that tests may not have
		names = append(names, "device")
	}
	f := open(t, dir, false)
	for _, name := range names {
		for _, flag := range []sys.Oflag{
			sys.O_RDONLY, sys.O_WRONLY, sys.O_RDWR, sys.O_RDWR | sys.O_CREAT, sys.O_WRONLY | sys.O_TRUNC, sys.O_WRONLY | sys.O_APPEND,
			sys.O_RDONLY | sys.O_NONBLOCK,
		} {
			if _, errno := f.OpenFile(name, flag, 0o644); errno != sys.EPERM {
				t.Errorf("%s with flags %b: %v", name, flag, errno)
			}
		}
		if _, errno := f.Stat(name); errno != 0 {
			t.Errorf("stat of %s: %v", name, errno)
		}
		must(t, f.Unlink(name))
	}
}

// TestAFIFOThatAppearsDoesNotBlock swaps a file for a FIFO while it is opened.
func TestAFIFOThatAppearsDoesNotBlock(t *testing.T) {
	dir := tree(t, "file", "content")
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	stop := swapper(t, filepath.Join(dir, "swap"), filepath.Join(dir, "file"), filepath.Join(dir, "fifo"))
	defer stop()
	f := open(t, dir, false)
	opened := 0
	for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
		for _, flag := range []sys.Oflag{sys.O_RDONLY, sys.O_WRONLY, sys.O_RDWR} {
			file, errno := f.OpenFile("swap", flag, 0)
			if errno != 0 {
				continue
			}
			opened++
			if st, errno := file.Stat(); errno != 0 || !st.Mode.IsRegular() {
				t.Fatalf("opened %v, %v", st.Mode, errno)
			}
			file.Close()
		}
	}
	if opened == 0 {
		t.Error("the file was never opened: the test shows nothing")
	}
}
