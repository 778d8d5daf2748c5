//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package rootfs

import (
	"os"
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// futimens sets the times to the microsecond, which is what futimes takes. A time to keep is read first.
func futimens(f *os.File, atim, mtim int64) error {
	if atim == sys.UTIME_OMIT || mtim == sys.UTIME_OMIT {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		st := wasys.NewStat_t(info)
		if atim == sys.UTIME_OMIT {
			atim = st.Atim
		}
		if mtim == sys.UTIME_OMIT {
			mtim = st.Mtim
		}
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) {
		inner = syscall.Futimes(int(fd), []syscall.Timeval{syscall.NsecToTimeval(atim), syscall.NsecToTimeval(mtim)})
	}); err != nil {
		return err
	}
	return inner
}
