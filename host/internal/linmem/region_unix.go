//go:build unix

package linmem

import "golang.org/x/sys/unix"

// region is a range of addresses, reserved once; the system gives it pages when they are first touched.
type region struct{ b []byte }

func newRegion(limit uint64) region {
	if limit == 0 {
		return region{}
	}
	b, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return region{}
	}
	adviseSmallPages(b)
	return region{b}
}

// slice is the first n bytes, or nil if there are not so many.
func (r *region) slice(n uint64) []byte {
	switch {
	case n == 0:
		return []byte{}
	case n > uint64(len(r.b)):
		return nil
	}
	return r.b[:n:len(r.b)]
}

func (r *region) free() {
	if r.b != nil {
		_ = unix.Munmap(r.b)
		r.b = nil
	}
}
