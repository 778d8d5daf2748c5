package rootfs

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// systemErrno knows a few numbers more than wazero's table, which has EIO for them.
func systemErrno(err error) sys.Errno {
	switch err {
	case syscall.ERROR_FILE_NOT_FOUND, syscall.ERROR_PATH_NOT_FOUND:
		return sys.ENOENT
	case syscall.ERROR_ACCESS_DENIED:
		return sys.EACCES
	}
	return sys.UnwrapOSError(err)
}
