//go:build !linux

package linmem

import "errors"

func adviseSmallPages([]byte) {}

func (r *region) discard(from, to uint64) bool {
	clear(r.slice(to)[from:])
	return true
}

// imageFile is none here.
type imageFile struct{}

func newFileImage([]byte) (*Image, error) { return nil, errors.ErrUnsupported }

func (imageFile) mapInto(*region, uint64) bool { return false }

// Close gives the image back.
func (i *Image) Close() { *i = Image{} }

// scanner finds nothing here.
type scanner struct{}

// pageRuns is none here.
type pageRuns struct{}

func threadFaults() int64 { return -1 }

func (*System) faultsAreCounted() bool { return false }

func newScanner() scanner    { return scanner{} }
func (scanner) usable() bool { return false }
func (scanner) close() error { return nil }

func (scanner) written(*pageRuns, []byte, uint64, func(from, to uint64)) (pages uint64, ok bool) {
	return 0, false
}
