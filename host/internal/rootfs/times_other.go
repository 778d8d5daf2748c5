//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows)

package rootfs

import (
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// futimens: the system has no call for it that Go knows.
func futimens(*os.File, int64, int64) error { return sys.ENOSYS }
