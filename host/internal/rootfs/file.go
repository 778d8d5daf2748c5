package rootfs

import (
	"io"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// handle is what open files and open folders have in common. Like every sys.File it is used by one goroutine at a time.
type handle struct {
	fs     *FS
	f      *os.File
	closed bool
	known  bool // dev and ino are set
	dev    uint64
	ino    wasys.Inode
}

// Stat describes the open file, wherever its name is now.
func (h *handle) Stat() (wasys.Stat_t, sys.Errno) {
	if h.closed {
		return wasys.Stat_t{}, sys.EBADF
	}
	info, err := h.f.Stat()
	if err != nil {
		return wasys.Stat_t{}, fileErrno(err)
	}
	st := wasys.NewStat_t(info)
	h.dev, h.ino, h.known = st.Dev, st.Ino, true
	return st, 0
}

// Dev is the number of the device that holds the file; 0 where the system has none.
func (h *handle) Dev() (uint64, sys.Errno) {
	errno := h.identify()
	return h.dev, errno
}

// Ino is the number of the file on its device; 0 where the system has none.
func (h *handle) Ino() (wasys.Inode, sys.Errno) {
	errno := h.identify()
	return h.ino, errno
}

func (h *handle) identify() sys.Errno {
	if h.known {
		return 0
	}
	_, errno := h.Stat()
	return errno
}

// Sync writes the file to the disk.
func (h *handle) Sync() sys.Errno {
	if h.closed {
		return sys.EBADF
	}
	return fileErrno(h.f.Sync())
}

// Datasync writes the file's content to the disk.
func (h *handle) Datasync() sys.Errno {
	if h.closed {
		return sys.EBADF
	}
	return fileErrno(datasync(h.f))
}

// Utimens sets the times of the open file; sys.UTIME_OMIT keeps one.
func (h *handle) Utimens(atim, mtim int64) sys.Errno {
	switch {
	case h.closed:
		return sys.EBADF
	case h.fs.readOnly:
		return sys.EROFS
	case atim == sys.UTIME_OMIT && mtim == sys.UTIME_OMIT:
		return 0
	}
	return fileErrno(futimens(h.f, atim, mtim))
}

// Close closes the file; a second Close does nothing.
func (h *handle) Close() sys.Errno {
	if h.closed {
		return 0
	}
	h.closed = true
	h.fs.opened.Add(-1)
	return fileErrno(h.f.Close())
}

// position is an offset in a file. It has a name of its own because go vet holds every Seek(int64, int) to io.Seeker, whose error is
// not the one of sys.File.
type position = int64

// file is an open regular file.
type file struct {
	handle
	append bool
}

var _ sys.File = (*file)(nil)

// IsDir is for folders.
func (f *file) IsDir() (bool, sys.Errno) { return false, 0 }

// IsAppend reports whether every write goes to the end.
func (f *file) IsAppend() bool { return f.append }

// SetAppend makes every write go to the end, or no longer. On Linux the system does it, so that writers do not overwrite each other;
// elsewhere each write looks for the end first.
func (f *file) SetAppend(enable bool) sys.Errno {
	if f.closed {
		return sys.EBADF
	}
	if err := setAppend(f.f, enable); err != nil {
		return fileErrno(err)
	}
	f.append = enable
	return 0
}

// Read reads from the current position; 0 bytes without an error are the end.
func (f *file) Read(buf []byte) (int, sys.Errno) {
	if f.closed {
		return 0, sys.EBADF
	}
	if len(buf) == 0 {
		return 0, 0
	}
	n, err := f.f.Read(buf)
	return n, fileErrno(err)
}

// Pread reads at an offset and leaves the position where it is.
func (f *file) Pread(buf []byte, off int64) (int, sys.Errno) {
	switch {
	case f.closed:
		return 0, sys.EBADF
	case off < 0:
		return 0, sys.EINVAL
	case len(buf) == 0:
		return 0, 0
	}
	n, err := f.f.ReadAt(buf, off)
	return n, fileErrno(err)
}

// Write writes at the current position, or at the end in append mode.
func (f *file) Write(buf []byte) (int, sys.Errno) {
	if f.closed {
		return 0, sys.EBADF
	}
	if len(buf) == 0 {
		return 0, 0
	}
	if f.append && seekToAppend {
		if _, err := f.f.Seek(0, io.SeekEnd); err != nil {
			return 0, fileErrno(err)
		}
	}
	n, err := f.f.Write(buf)
	return n, fileErrno(err)
}

// Pwrite writes at an offset and leaves the position where it is. In append mode Linux writes at the end nevertheless, which is what
// WASI says of append mode.
func (f *file) Pwrite(buf []byte, off int64) (int, sys.Errno) {
	switch {
	case f.closed:
		return 0, sys.EBADF
	case off < 0:
		return 0, sys.EINVAL
	case len(buf) == 0:
		return 0, 0
	}
	n, err := f.f.WriteAt(buf, off)
	return n, fileErrno(err)
}

// Seek moves the position.
func (f *file) Seek(offset position, whence int) (int64, sys.Errno) {
	if f.closed {
		return 0, sys.EBADF
	}
	if whence < io.SeekStart || whence > io.SeekEnd {
		return 0, sys.EINVAL
	}
	pos, err := f.f.Seek(offset, whence)
	return pos, fileErrno(err)
}

// Readdir is for folders.
func (f *file) Readdir(int) ([]sys.Dirent, sys.Errno) {
	if f.closed {
		return nil, sys.EBADF
	}
	return nil, sys.ENOTDIR
}

// Truncate cuts the file or makes it longer with zeros.
func (f *file) Truncate(size int64) sys.Errno {
	switch {
	case f.closed:
		return sys.EBADF
	case size < 0:
		return sys.EINVAL
	case f.fs.readOnly:
		return sys.EROFS
	}
	return fileErrno(f.f.Truncate(size))
}
