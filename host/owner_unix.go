//go:build unix

package host

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByAnother tells whether a file belongs to another user than the process's.
func ownedByAnother(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) != os.Geteuid()
}
