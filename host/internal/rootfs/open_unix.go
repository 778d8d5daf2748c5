//go:build unix

package rootfs

import "syscall"

// waitless opens a FIFO without waiting for its other end, and a terminal without getting it as the process's own. Both are then
// refused; for regular files it changes nothing.
const waitless = syscall.O_NONBLOCK | syscall.O_NOCTTY
