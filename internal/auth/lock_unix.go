//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package auth

import (
	"os"
	"path/filepath"
	"syscall"
)

// ownRights tells whether a file's mode says who can write to it.
const ownRights = true

// lock waits until nobody else holds the lock file, and holds it until unlock is called or the process ends. The lock file is given to the
// owner of path, as giveTo does. It may not be a symlink: root would give away what that leads to.
func lock(lockFile, path string) (unlock func(), err error) {
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := giveTo(f, path); err != nil {
		_ = f.Close()
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR { //nolint:errorlint // a bare errno
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "lock", Path: lockFile, Err: err}
	}
	return func() { _ = f.Close() }, nil // which gives it back
}

// giveTo gives a file that root has made to the owner of path or, when that is not there, of its folder: a server that runs as another
// user has to read what root does for it. For others than root, and for a file that has another owner or another name, it does nothing.
func giveTo(f *os.File, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	mine, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.Mode().IsRegular() || mine.Uid != 0 || mine.Nlink != 1 {
		return nil
	}
	if st, err = os.Stat(path); err != nil {
		st, err = os.Stat(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	to, ok := st.Sys().(*syscall.Stat_t)
	if !ok || to.Uid == mine.Uid && to.Gid == mine.Gid {
		return nil
	}
	return f.Chown(int(to.Uid), int(to.Gid))
}
