// Package linmem provides the linear memories of guests: their bound, their size, and where the system allows it an address
// that never changes, so that growing copies nothing and no garbage is left behind.
package linmem

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// Allocator gives the memories of one instance and holds them to a bound on their sum. Its methods are for the goroutine that runs
// the instance, but for Size and Refused, which any goroutine may call.
type Allocator struct {
	limit   uint64
	used    atomic.Uint64
	refused atomic.Bool
}

var _ experimental.MemoryAllocator = (*Allocator)(nil)

// NewAllocator makes an allocator for memories of at most limit bytes together.
func NewAllocator(limit uint64) *Allocator { return &Allocator{limit: limit} }

// Size is the sum of the memories' sizes, in bytes.
func (a *Allocator) Size() uint64 { return a.used.Load() }

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
	return &Memory{owner: a, region: newRegion(min(max, a.limit))}
}

// Memory is one linear memory.
type Memory struct {
	owner  *Allocator
	region region
	size   uint64
}

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
	b := m.region.slice(size)
	if b == nil {
		m.owner.refused.Store(true)
		return nil
	}
	m.size = size
	m.owner.used.Add(grow)
	return b
}

// Free implements experimental.LinearMemory.
func (m *Memory) Free() {
	m.owner.used.Add(-m.size)
	m.size = 0
	m.region.free()
}
