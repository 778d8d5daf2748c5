//go:build !linux

package rootfs

import "os"

// seekToAppend: each write in append mode looks for the end first.
const seekToAppend = true

func setAppend(*os.File, bool) error { return nil }

func datasync(f *os.File) error { return f.Sync() }
