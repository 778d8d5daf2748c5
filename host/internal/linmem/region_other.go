//go:build !unix

package linmem

// region is a slice that is copied when it grows.
type region struct {
	b     []byte
	limit uint64
}

func newRegion(limit uint64) region { return region{limit: limit} }

// slice is the first n bytes, or nil if there are not so many.
func (r *region) slice(n uint64) []byte {
	if n > r.limit {
		return nil
	}
	if n > uint64(cap(r.b)) {
		b := make([]byte, n, min(r.limit, max(n, 2*uint64(cap(r.b)))))
		copy(b, r.b)
		r.b = b
	}
	if n > uint64(len(r.b)) {
		r.b = r.b[:n]
	}
	return r.b[:n]
}

func (r *region) free() { r.b = nil }
