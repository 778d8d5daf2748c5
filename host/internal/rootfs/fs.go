// Package rootfs gives a WASI guest one folder of the host and nothing outside it.
package rootfs

import (
	"fmt"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// FS is a folder of the host as a wazero file system. It is mounted with WithSysFSMount of wazero's experimental/sysfs.
type FS struct {
	sys.UnimplementedFS
	root     *os.Root
	readOnly bool
}

// Open opens the folder dir. With readOnly, every change is refused with EROFS.
// The caller closes the FS after the last module that has it mounted.
func Open(dir string, readOnly bool) (*FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("rootfs: %w", err)
	}
	return &FS{root: root, readOnly: readOnly}, nil
}

// Close gives the folder back. Files that guests still have open stay open until they are closed.
func (f *FS) Close() error { return f.root.Close() }
