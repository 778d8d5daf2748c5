// Package rootfs gives a WASI guest one folder of the host and nothing outside it.
//
// Paths are resolved by [os.Root]: neither "..", nor an absolute path, nor a symbolic link leads out of the folder, also when somebody
// swaps parts of the path while they are being resolved. Only regular files and folders can be opened, so that a device, a FIFO or a
// socket that lies in the folder is neither reached nor waited for.
//
// What it does not do: it is no quota, a guest can fill the disk that holds the folder; it does not stop at mount points; and two
// names of one inode (hard links that the host made) are one file, as everywhere.
package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// maxOpenFiles bounds the files that guests hold open through one FS; more get EAGAIN. Without a bound a guest could use up the
// descriptors of the whole process.
const maxOpenFiles = 1024

// FS is a folder of the host as a wazero file system. Mount it with WithSysFSMount of wazero's experimental/sysfs.
// It is safe for concurrent use; a [sys.File] that it opens belongs to one guest.
//
// Errors are those of POSIX for the same call. EPERM is for paths that lead out of the folder, for symbolic links that would, and for
// what is neither a regular file nor a folder; EROFS for every change of an FS opened as read-only; EAGAIN for too many open files.
type FS struct {
	sys.UnimplementedFS
	root     *os.Root
	readOnly bool
	opened   atomic.Int64 // files that are open now
}

var _ sys.FS = (*FS)(nil)

// Open opens the folder dir; a symbolic link is followed here, once. With readOnly, every change is refused with EROFS.
// When the folder is renamed or replaced later, the FS stays with the folder that it opened.
// The caller closes the FS after the last module that has it mounted.
func Open(dir string, readOnly bool) (*FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("rootfs: %w", err)
	}
	return &FS{root: root, readOnly: readOnly}, nil
}

// Close gives the folder back; from then on every call gets EBADF. Files that guests still have open stay usable until they are
// closed. A second Close does nothing.
func (f *FS) Close() error { return f.root.Close() }

// String names the folder, for messages.
func (f *FS) String() string { return f.root.Name() }

// Stat follows symbolic links that stay inside.
func (f *FS) Stat(name string) (wasys.Stat_t, sys.Errno) {
	info, err := f.root.Stat(local(name))
	if err != nil {
		return wasys.Stat_t{}, pathErrno(err)
	}
	return wasys.NewStat_t(info), 0
}

// Lstat does not follow a symbolic link in the last part of the path.
func (f *FS) Lstat(name string) (wasys.Stat_t, sys.Errno) {
	info, err := f.root.Lstat(local(name))
	if err != nil {
		return wasys.Stat_t{}, pathErrno(err)
	}
	return wasys.NewStat_t(info), 0
}

// Mkdir makes a folder. Of perm only the nine permission bits count.
func (f *FS) Mkdir(name string, perm fs.FileMode) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	return pathErrno(f.root.Mkdir(local(name), perm.Perm()))
}

// Chmod sets the nine permission bits; the others of perm are ignored, so that a guest cannot make a setuid file.
func (f *FS) Chmod(name string, perm fs.FileMode) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	return pathErrno(f.root.Chmod(local(name), perm.Perm()))
}

// Rmdir removes an empty folder.
func (f *FS) Rmdir(name string) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	name = local(name)
	if path.Clean(name) == "." {
		return sys.EINVAL
	}
	// Root.Remove removes files and folders alike. When the name is swapped in between, the other kind goes: it is inside as well.
	info, err := f.root.Lstat(name)
	switch {
	case err != nil:
		return pathErrno(err)
	case !info.IsDir():
		return sys.ENOTDIR
	}
	errno := pathErrno(f.root.Remove(name))
	if errno == sys.EEXIST { // POSIX lets a file system say either
		errno = sys.ENOTEMPTY
	}
	return errno
}

// Unlink removes a name that is not a folder's. A symbolic link goes, not what it points to.
func (f *FS) Unlink(name string) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	name = local(name)
	info, err := f.root.Lstat(name)
	switch {
	case err != nil:
		return pathErrno(err)
	case info.IsDir():
		return sys.EISDIR
	}
	return pathErrno(f.root.Remove(name))
}

// Rename moves a file or a folder within the FS. A file replaces a file, a folder replaces an empty folder. Replacing a folder takes
// two steps on the host, so another process may see neither for a moment.
func (f *FS) Rename(from, to string) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	from, to = local(from), local(to)
	err := f.root.Rename(from, to)
	if !errors.Is(err, fs.ErrExist) {
		return pathErrno(err)
	}

	// os.Root refuses to replace a folder at all, where POSIX has rules.
	target, err := f.root.Lstat(to)
	if err != nil {
		return pathErrno(err)
	}
	source, err := f.root.Lstat(from)
	switch {
	case err != nil:
		return pathErrno(err)
	case !target.IsDir():
		return sys.EEXIST // it was a folder a moment ago
	case os.SameFile(source, target):
		return 0
	case !source.IsDir():
		return sys.EISDIR
	case within(from, to) || path.Clean(to) == ".":
		return sys.EINVAL
	}
	if errno := f.Rmdir(to); errno != 0 {
		return errno
	}
	if err = f.root.Rename(from, to); err != nil {
		_ = f.root.Mkdir(to, target.Mode().Perm()) // back to how it was, as far as that goes
	}
	return pathErrno(err)
}

// Link makes a second name for a file. A symbolic link is linked itself, not followed.
func (f *FS) Link(oldName, newName string) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	return pathErrno(f.root.Link(local(oldName), local(newName)))
}

// Symlink makes a symbolic link. A target that is absolute or leads out of the folder is refused with EPERM: the guest could not
// follow it, but a program of the host could be led astray. This is a help to such programs and no promise, since a link can be moved.
func (f *FS) Symlink(target, name string) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	name = local(name)
	if target == "" {
		return sys.ENOENT
	}
	if path.IsAbs(target) || filepath.IsAbs(target) || filepath.VolumeName(target) != "" ||
		!filepath.IsLocal(filepath.Join(filepath.Dir(filepath.Clean(name)), target)) {
		return sys.EPERM
	}
	return pathErrno(f.root.Symlink(target, name))
}

// Readlink returns the target as it is written in the link, with "/" between its parts.
func (f *FS) Readlink(name string) (string, sys.Errno) {
	target, err := f.root.Readlink(local(name))
	if err != nil {
		return "", pathErrno(err)
	}
	return filepath.ToSlash(target), 0
}

// Utimens sets the times of what the path leads to; sys.UTIME_OMIT keeps one.
func (f *FS) Utimens(name string, atim, mtim int64) sys.Errno {
	if f.readOnly {
		return sys.EROFS
	}
	name = local(name)
	if atim == sys.UTIME_OMIT && mtim == sys.UTIME_OMIT {
		_, errno := f.Stat(name)
		return errno
	}
	return pathErrno(f.root.Chtimes(name, timeOf(atim), timeOf(mtim)))
}

// timeOf is the time of nanoseconds since 1970. The zero time stands for sys.UTIME_OMIT, as in os.
func timeOf(ns int64) time.Time {
	if ns == sys.UTIME_OMIT {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// local makes a path of wazero one that os.Root takes. Paths begin with "/" when the guest resolves them from a folder that it opened
// as ".". A "/" at the end stays: it says that the path is a folder's.
func local(name string) string {
	name = strings.TrimLeft(name, "/")
	if name == "" {
		return "."
	}
	return name
}

// within reports whether the path sub lies below the path dir, by their words.
func within(dir, sub string) bool {
	dir, sub = path.Clean(dir), path.Clean(sub)
	return dir == "." || strings.HasPrefix(sub, dir+"/")
}
