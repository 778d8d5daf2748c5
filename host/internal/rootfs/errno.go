package rootfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// pathErrno is the Errno of an error of os.Root.
//
// os.Root has errors of its own, which it does not export. All of them say that the path is not one that it lets through, most of
// all that it leads out of the root: EPERM.
func pathErrno(err error) sys.Errno {
	if err == nil {
		return 0
	}
	cause := causeOf(err)
	switch {
	case errors.Is(cause, fs.ErrClosed):
		return sys.EBADF
	case isSystemError(cause):
		return systemErrno(cause)
	}
	return sys.EPERM
}

// fileErrno is the Errno of an error of an open os.File. The end of the file is no error.
func fileErrno(err error) sys.Errno {
	if err == nil {
		return 0
	}
	cause := causeOf(err)
	switch {
	case errors.Is(cause, io.EOF):
		return 0
	case errors.Is(cause, fs.ErrClosed):
		return sys.EBADF
	case isSystemError(cause):
		return systemErrno(cause)
	}
	return sys.UnwrapOSError(err)
}

// causeOf takes the wrapping of package os off.
func causeOf(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	if se, ok := errors.AsType[*os.SyscallError](err); ok {
		return se.Err
	}
	return err
}

func isSystemError(err error) bool {
	_, ok := err.(syscall.Errno) //nolint:errorlint // causeOf took the wrapping off
	return ok
}
