//go:build !windows

package rootfs

import "github.com/tetratelabs/wazero/experimental/sys"

func systemErrno(err error) sys.Errno { return sys.UnwrapOSError(err) }
