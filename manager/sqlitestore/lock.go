package sqlitestore

import (
	"os"
	"strconv"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// fileLock is a file that one process at a time has locked. It holds the number of that process.
type fileLock struct{ f *os.File }

func (l *fileLock) take(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return abi.Errorf(abi.CodeUnavailable, "%s cannot be opened for writing: look at its permissions and those of its folder (%w)", path, err)
	}
	if err := lockFile(f); err != nil {
		var b [32]byte
		n, _ := f.ReadAt(b[:], 0) // without it, the message says less
		_ = f.Close()             // nothing was written
		who := "another process"
		if pid := strings.TrimSpace(string(b[:n])); pid != "" {
			who = "process " + pid
		}
		return abi.Errorf(abi.CodeUnavailable, "%s is in use by %s: stop it, or name another file", strings.TrimSuffix(path, ".lock"), who)
	}
	l.f = f
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release gives the lock back. The file stays: to remove it would let two processes lock different files of the same name.
func (l *fileLock) release() error {
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}
