package rootfs

import (
	"os"
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// futimens sets the times of a file that is open for writing.
func futimens(f *os.File, atim, mtim int64) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) {
		inner = syscall.SetFileTime(syscall.Handle(fd), nil, filetime(atim), filetime(mtim))
	}); err != nil {
		return err
	}
	return inner
}

func filetime(ns int64) *syscall.Filetime {
	if ns == sys.UTIME_OMIT {
		return nil
	}
	ft := syscall.NsecToFiletime(ns)
	return &ft
}
