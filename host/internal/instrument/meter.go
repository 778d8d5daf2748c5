package instrument

import (
	"slices"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

const (
	// regionLimit is the number of ticks up to which a region (the body of a loop without the loops inside it, or
	// what is outside all loops of a function) is charged at once, whatever path control takes through it.
	regionLimit = 256
	// smallSegment is the number of ticks up to which a piece of a larger region is charged with its beginning.
	smallSegment = 5
)

// meter says where in a function how many ticks are charged.
type meter struct {
	// charges are the ticks by node: at the header for a loop, behind the instruction for all others. A large region
	// is cut where branches land, and each piece charged where it begins.
	charges []int64
	entry   int64   // ticks charged at the entry
	hot     []int32 // number of hot calls before each node

	total   []int64 // of the region that begins at the node
	targets []bool  // whether a branch goes to the end of the block that begins at the node
}

// region is one that is open while the function is walked through: the loop it belongs to, or -1, and where the ticks
// of the next instruction go.
type region struct{ loop, piece int32 }

func (m *meter) measure(f *function, g *graph) {
	n := len(f.nodes)
	m.charges = cleared(m.charges, n)
	m.total = cleared(m.total, n)
	m.targets = cleared(m.targets, n)
	m.hot = cleared(m.hot, n+1)
	total := m.totals(f, g)
	regions := []region{{-1, -1}}
	m.entry = 0
	blocks := f.open[:0]
	for k := range f.nodes {
		r := &regions[len(regions)-1]
		large := total > regionLimit
		if r.loop >= 0 {
			large = m.total[r.loop] > regionLimit
		}
		switch f.nodes[k].op {
		case wasm.OpLoop:
			blocks = append(blocks, int32(k))
			regions = append(regions, region{int32(k), int32(k)})
			r = &regions[len(regions)-1]
		case wasm.OpBlock, wasm.OpTryTable:
			blocks = append(blocks, int32(k))
		case wasm.OpIf:
			blocks = append(blocks, int32(k))
			if large {
				m.add(r.piece, m.cost(f, g, k))
				r.piece = int32(k)
				continue
			}
		case wasm.OpElse:
			if large {
				r.piece = int32(k)
			}
		case wasm.OpEnd:
			if len(blocks) == 0 {
				continue
			}
			b := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			switch op := f.nodes[b].op; {
			case op == wasm.OpLoop:
				regions = regions[:len(regions)-1]
			case large && (op == wasm.OpIf || m.targets[b]):
				r.piece = int32(k)
			}
		}
		m.add(r.piece, m.cost(f, g, k))
	}
	f.open = blocks
	m.merge(f)
}

func (m *meter) add(piece int32, ticks int64) {
	if piece < 0 {
		m.entry += ticks
		return
	}
	m.charges[piece] += ticks
}

// totals fills in what the first walk gives and returns the ticks outside loops.
func (m *meter) totals(f *function, g *graph) int64 {
	outside := int64(0)
	loops, blocks := []int32(nil), f.open[:0]
	target := func(label uint32) {
		if i := len(blocks) - 1 - int(label); i >= 0 {
			m.targets[blocks[i]] = true
		}
	}
	for k := range f.nodes {
		n := &f.nodes[k]
		m.hot[k+1] = m.hot[k]
		if f.isHot(k) {
			m.hot[k+1]++
		}
		switch n.op {
		case wasm.OpLoop:
			loops = append(loops, int32(k))
			blocks = append(blocks, int32(k))
		case wasm.OpBlock, wasm.OpIf:
			blocks = append(blocks, int32(k))
		case wasm.OpTryTable:
			for _, c := range f.catches[n.x] {
				target(c.Label)
			}
			blocks = append(blocks, int32(k))
		case wasm.OpEnd:
			if len(blocks) == 0 {
				continue
			}
			if f.nodes[blocks[len(blocks)-1]].op == wasm.OpLoop {
				loops = loops[:len(loops)-1]
			}
			blocks = blocks[:len(blocks)-1]
		case wasm.OpBr, wasm.OpBrIf, wasm.OpBrOnNull, wasm.OpBrOnNonNull:
			target(n.x)
		case wasm.OpBrTable:
			for _, l := range f.labels[n.side : n.side+n.count] {
				target(l)
			}
		}
		if len(loops) > 0 {
			m.total[loops[len(loops)-1]] += m.cost(f, g, k)
		} else {
			outside += m.cost(f, g, k)
		}
	}
	f.open = blocks
	return outside
}

func (m *meter) cost(f *function, g *graph, k int) int64 {
	c := f.weight(k)
	if n := &f.nodes[k]; isCall(n.op) {
		c += g.nodes[g.callee(n)].fold
	}
	return c
}

// merge charges small pieces with the beginning of their region, as long as that stays within the limit.
func (m *meter) merge(f *function) {
	loops := []int32{-1}
	blocks := f.open[:0]
	for k := range f.nodes {
		switch f.nodes[k].op {
		case wasm.OpLoop:
			loops = append(loops, int32(k))
			blocks = append(blocks, int32(k))
			continue
		case wasm.OpBlock, wasm.OpIf, wasm.OpTryTable:
			blocks = append(blocks, int32(k))
		case wasm.OpEnd:
			if len(blocks) == 0 {
				continue
			}
			if f.nodes[blocks[len(blocks)-1]].op == wasm.OpLoop {
				loops = loops[:len(loops)-1]
			}
			blocks = blocks[:len(blocks)-1]
		}
		c := m.charges[k]
		if c == 0 || c > smallSegment {
			continue
		}
		l := loops[len(loops)-1]
		have := m.entry
		if l >= 0 {
			have = m.charges[l]
		}
		if have+c <= regionLimit {
			m.add(l, c)
			m.charges[k] = 0
		}
	}
	f.open = blocks
}

// cleared returns a slice of n zeros, in the memory of s if there is enough.
func cleared[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

// isHot reports whether the instruction becomes a call that comes back. A call before unreachable does not.
func (f *function) isHot(k int) bool {
	switch op := f.nodes[k].op; op {
	case wasm.OpCall, wasm.OpCallIndirect, wasm.OpCallRef:
		return f.nodes[k+1].op != wasm.OpUnreachable
	case wasm.OpMemoryGrow, wasm.OpTableGrow:
		return true
	case wasm.OpMemoryFill, wasm.OpMemoryCopy, wasm.OpMemoryInit, wasm.OpTableFill, wasm.OpTableCopy, wasm.OpTableInit:
		_, small := f.bulkLength(k)
		return !small
	}
	return false
}
