// Package linmem provides the linear memories of guests: their bound, their size, and the way back to how they were.
//
// Where the system allows it, a memory has an address that never changes, so that growing copies nothing; an [Image] of it is shared
// by all instances, page by page until they write; and [Memory.Restore] puts back just the pages that were written. Elsewhere the same
// results come from comparing and copying.
package linmem

import (
	"bytes"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// PageSize is the granularity of images, in bytes: the smallest page of the systems that are supported divides it or is equal to it.
const pageSize = 4096

// System is what the operating system offers. Make one for each host, and Close it after the last memory is gone.
type System struct {
	scanner           // finds the pages that were written
	countsFaults bool // tells each thread's page faults
}

// NewSystem finds out what the operating system offers.
func NewSystem() *System {
	s := &System{scanner: newScanner()}
	s.countsFaults = s.usable() && s.faultsAreCounted()
	return s
}

// Portable is a System that uses nothing of the operating system.
func Portable() *System { return &System{} }

// Close gives back what the System holds.
func (s *System) Close() error { return s.scanner.close() }

// String says how memories are put back.
func (s *System) String() string {
	if s.usable() {
		return "the pages that were written are put back"
	}
	return "memory is compared with its image and put back"
}

// Allocator gives the memories of one instance and holds them to a bound on their sum. Its methods are for the goroutine that runs
// the instance, but for Size and Refused, which any goroutine may call.
type Allocator struct {
	system   *System
	limit    uint64
	used     atomic.Uint64
	refused  atomic.Bool
	memories []*Memory
	meter    Meter
}

// Meter is asked before the memories of an allocator grow, and told when they are gone.
type Meter struct {
	Grow func(bytes uint64) bool
	Free func(bytes uint64)
}

var _ experimental.MemoryAllocator = (*Allocator)(nil)

// NewAllocator makes an allocator for memories of at most limit bytes together.
// The zero Meter is none.
func (s *System) NewAllocator(limit uint64, meter Meter) *Allocator {
	return &Allocator{system: s, limit: limit, meter: meter}
}

// Size is the sum of the memories' sizes, in bytes.
func (a *Allocator) Size() uint64 { return a.used.Load() }

// Memories are those that were allocated, in that order.
func (a *Allocator) Memories() []*Memory { return a.memories }

// Refused tells whether a memory was to grow past the bound since the last Rearm.
func (a *Allocator) Refused() bool { return a.refused.Load() }

// Rearm forgets that growth was refused.
func (a *Allocator) Rearm() {
	if a.refused.Load() {
		a.refused.Store(false)
	}
}

// Allocate implements experimental.MemoryAllocator. The caller checks beforehand that the memories' minimal sizes fit in the bound:
// wazero cannot be told that they do not.
func (a *Allocator) Allocate(_, max uint64) experimental.LinearMemory {
	m := &Memory{owner: a, region: newRegion(min(max, a.limit))}
	a.memories = append(a.memories, m)
	return m
}

// Memory is one linear memory.
type Memory struct {
	owner  *Allocator
	region region
	size   uint64
	image  *Image
	mapped bool // the image is mapped into the region
	runs   pageRuns
	known  []span // what was found to be written, and stays in place
}

// span is a range of bytes, of whole pages.
type span struct{ from, to uint64 }

// Size is how large the memory is, in bytes.
func (m *Memory) Size() uint64 { return m.size }

// Reallocate implements experimental.LinearMemory. It is nil when the memory would pass the bound.
func (m *Memory) Reallocate(size uint64) []byte {
	if size < m.size {
		return m.region.slice(m.size)
	}
	grow := size - m.size
	if used := m.owner.used.Load(); grow > m.owner.limit-min(used, m.owner.limit) {
		m.owner.refused.Store(true)
		return nil
	}
	if m.owner.meter.Grow != nil && !m.owner.meter.Grow(grow) {
		return nil
	}
	b := m.region.slice(size)
	if b == nil {
		m.owner.refused.Store(true)
		if m.owner.meter.Free != nil {
			m.owner.meter.Free(grow)
		}
		return nil
	}
	m.size = size
	m.owner.used.Add(grow)
	return b
}

// Free implements experimental.LinearMemory.
func (m *Memory) Free() {
	m.owner.used.Add(-m.size)
	if m.owner.meter.Free != nil && m.size > 0 {
		m.owner.meter.Free(m.size)
	}
	m.size = 0
	m.image = nil
	m.region.free()
}

// Image is the content of a memory at one time. Several memories can be put back to it, at once; it must outlive them.
type Image struct {
	data []byte // not to be written
	file imageFile
}

// Size is how large the memory was, in bytes.
func (i *Image) Size() uint64 { return uint64(len(i.data)) }

// Image takes an image of the memory.
func (m *Memory) Image() (*Image, error) {
	b := m.region.slice(m.size)
	if m.owner.system.usable() {
		if i, err := newFileImage(b); err == nil {
			return i, nil
		}
	}
	return &Image{data: bytes.Clone(b)}, nil
}

// Adopt makes the memory's content that of the image, to which Restore then puts it back. The memory is as large as the image or larger.
func (m *Memory) Adopt(i *Image) {
	m.image = i
	m.known = m.known[:0]
	if m.mapped = i.file.mapInto(&m.region, i.Size()); m.mapped {
		m.region.discard(i.Size(), m.size)
		return
	}
	m.restoreByComparing()
}

// maxInPlace is how many pages are put back in place, so that the next call finds them resident. When more were written they are
// given back to the system.
const maxInPlace = 2048

// Restore puts the memory's content back to the image; what lies behind it becomes zero. Same is what a [Watch] said: all pages
// that were written since the last Restore had been written before it.
func (m *Memory) Restore(same bool) {
	switch {
	case !m.mapped:
		m.restoreByComparing()
	case same:
		b := m.region.slice(m.size)
		for _, s := range m.known {
			m.putBack(b, s)
		}
	case !m.restoreWritten():
		m.restoreByComparing()
	}
}

// restoreWritten puts back the pages that were written, if the system tells which; false if it does not.
func (m *Memory) restoreWritten() bool {
	b := m.region.slice(m.size)
	m.known = m.known[:0]
	if len(b) == 0 {
		return true
	}
	pages, ok := m.owner.system.written(&m.runs, b, maxInPlace, func(from, to uint64) {
		m.known = append(m.known, span{from, to})
		m.putBack(b, span{from, to})
	})
	if ok && pages > maxInPlace {
		m.known = m.known[:0]
		return m.region.discard(0, m.size)
	}
	return ok
}

// putBack copies the image, and zeros behind it, over a range of b.
func (m *Memory) putBack(b []byte, s span) {
	image := m.image.data
	if s.from < uint64(len(image)) {
		n := min(s.to, uint64(len(image)))
		copy(b[s.from:n], image[s.from:n])
		s.from = n
	}
	clear(b[s.from:s.to])
}

var zeroPage [pageSize]byte

// restoreByComparing reads all of the memory and writes where it differs.
func (m *Memory) restoreByComparing() {
	m.known = m.known[:0]
	b := m.region.slice(m.size)
	image := m.image.data
	n := len(image)
	for at := 0; at < n; at += pageSize {
		if !bytes.Equal(b[at:at+pageSize], image[at:at+pageSize]) {
			copy(b[at:at+pageSize], image[at:at+pageSize])
		}
	}
	for at := n; at < len(b); at += pageSize {
		if !bytes.Equal(b[at:at+pageSize], zeroPage[:]) {
			clear(b[at : at+pageSize])
		}
	}
}

// Discard makes the memory zero from the byte at from on, and gives its pages back to the system. From is a multiple of 64 KiB.
func (m *Memory) Discard(from uint64) {
	if from < m.size && !m.region.discard(from, m.size) {
		clear(m.region.slice(m.size)[from:])
	}
}
