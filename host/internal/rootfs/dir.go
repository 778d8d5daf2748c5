package rootfs

import (
	"io"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// dir is an open folder.
type dir struct {
	sys.DirFile
	handle
}

var _ sys.File = (*dir)(nil)

// Readdir returns up to n entries (all with n <= 0) in the order of the host's file system, without "." and "..".
// Fewer than n are the last.
func (d *dir) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	if d.closed {
		return nil, sys.EBADF
	}
	entries, err := d.f.ReadDir(n)
	dirents := make([]sys.Dirent, 0, len(entries))
	for _, e := range entries {
		ent := sys.Dirent{Name: e.Name(), Type: e.Type()}
		// os reads the details of the entries of a root's folders together with their names, so this looks nothing up.
		if info, err := e.Info(); err == nil {
			ent.Ino = wasys.NewStat_t(info).Ino
		}
		dirents = append(dirents, ent)
	}
	return dirents, fileErrno(err)
}

// Seek goes back to the first entry, which also shows what was added since; other positions are not known.
func (d *dir) Seek(offset position, whence int) (int64, sys.Errno) {
	if d.closed {
		return 0, sys.EBADF
	}
	if offset != 0 || whence != io.SeekStart {
		return 0, sys.EINVAL
	}
	pos, err := d.f.Seek(0, io.SeekStart)
	return pos, fileErrno(err)
}
