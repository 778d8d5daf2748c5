//go:build unix

package host_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/taskhost/taskhost/host"
)

// TestFolderWithPipe checks that a named pipe in the folder, which nobody writes to, is refused and not waited for.
func TestFolderWithPipe(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"pipe.wasm", "manifest.json"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "echo.wasm"), guest(t, "echo"))
	h := newHost(t, host.Config{Dir: dir, WatchInterval: -1})
	run(t, h, "echo", "x")
	for _, name := range []string{"pipe", "manifest"} {
		if i := info(t, h, name); i.State != host.StateRefused || !strings.Contains(i.Error, "not a regular file") {
			t.Errorf("%s is %s: %s", name, i.State, i.Error)
		}
	}
}
