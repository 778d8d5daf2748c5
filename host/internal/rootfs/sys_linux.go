package rootfs

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// seekToAppend: the system finds the end by itself.
const seekToAppend = false

// utimeOmit is UTIME_OMIT of the Linux headers.
const utimeOmit = 1<<30 - 2

// setAppend switches O_APPEND of the open file. It is never given to os.OpenFile, which would then refuse WriteAt for good.
func setAppend(f *os.File, enable bool) error {
	return control(f, func(fd uintptr) error {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
		if errno != 0 {
			return errno
		}
		if enable {
			flags |= syscall.O_APPEND
		} else {
			flags &^= syscall.O_APPEND
		}
		if _, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFL, flags); errno != 0 {
			return errno
		}
		return nil
	})
}

func datasync(f *os.File) error {
	return control(f, func(fd uintptr) error { return syscall.Fdatasync(int(fd)) })
}

// futimens is utimensat without a path, which means the open file itself.
func futimens(f *os.File, atim, mtim int64) error {
	times := [2]syscall.Timespec{timespec(atim), timespec(mtim)}
	return control(f, func(fd uintptr) error {
		_, _, errno := syscall.Syscall6(syscall.SYS_UTIMENSAT, fd, 0, uintptr(unsafe.Pointer(&times[0])), 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
}

func timespec(ns int64) syscall.Timespec {
	if ns == sys.UTIME_OMIT {
		return syscall.Timespec{Nsec: utimeOmit}
	}
	return syscall.NsecToTimespec(ns)
}

// control calls do with the file's descriptor, which stays open meanwhile.
func control(f *os.File, do func(fd uintptr) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = do(fd) }); err != nil {
		return err
	}
	return inner
}
