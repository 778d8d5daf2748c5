package instrument

import (
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// node is one instruction of the function at hand.
type node struct {
	op         wasm.Op
	start, end int32 // in the body
	x, y       uint32
	c          int64 // value of a constant
	match      int32 // block, loop, if, try_table: position of the end; else unused
	side       int32 // block types and label lists live in tables of their own
	count      int32 // br_table: number of labels
}

// function is a decoded body.
type function struct {
	effort *effort // nil: it is not counted

	nodes   []node
	blocks  []wasm.BlockType
	labels  []uint32
	catches [][]wasm.Catch
	hasTry  bool
	reader  *wasm.Instrs
	open    []int32
}

// load decodes the body of the i-th function the module defines, in place of what f held.
func (f *function) load(m *wasm.Module, i int) error {
	f.nodes, f.blocks, f.labels, f.catches = f.nodes[:0], f.blocks[:0], f.labels[:0], f.catches[:0]
	f.open = f.open[:0]
	f.hasTry = false
	if f.effort != nil {
		f.effort.begin(i)
	}
	loops := 0
	f.reader = m.Instrs(i, f.reader)
	for in := f.reader.Next(); in != nil; in = f.reader.Next() {
		if f.effort != nil {
			f.effort.add(in, loops)
		}
		n := node{op: in.Op, start: int32(in.Start), end: int32(in.End), x: in.X, y: in.Y, c: in.Const}
		switch in.Op {
		case wasm.OpBlock, wasm.OpLoop, wasm.OpIf, wasm.OpTryTable:
			n.side = int32(len(f.blocks))
			f.blocks = append(f.blocks, in.Block)
			f.open = append(f.open, int32(len(f.nodes)))
			if in.Op == wasm.OpLoop {
				loops++
			}
			if in.Op == wasm.OpTryTable {
				f.hasTry = true
				n.x = uint32(len(f.catches))
				f.catches = append(f.catches, append([]wasm.Catch(nil), in.Catches...))
			}
		case wasm.OpEnd:
			if k := len(f.open); k > 0 {
				if f.nodes[f.open[k-1]].op == wasm.OpLoop {
					loops--
				}
				f.nodes[f.open[k-1]].match = int32(len(f.nodes))
				f.open = f.open[:k-1]
			}
		case wasm.OpBrTable:
			n.side, n.count = int32(len(f.labels)), int32(len(in.Labels))
			f.labels = append(f.labels, in.Labels...)
		}
		f.nodes = append(f.nodes, n)
	}
	if err := f.reader.Err(); err != nil {
		return err
	}
	if f.effort != nil {
		return f.effort.check(i)
	}
	return nil
}

// isCall reports whether the instruction enters another function of which it takes the costs.
func isCall(op wasm.Op) bool {
	switch op {
	case wasm.OpCall, wasm.OpCallIndirect, wasm.OpCallRef,
		wasm.OpReturnCall, wasm.OpReturnCallIndirect, wasm.OpReturnCallRef:
		return true
	}
	return false
}

func isReturnCall(op wasm.Op) bool {
	return op == wasm.OpReturnCall || op == wasm.OpReturnCallIndirect || op == wasm.OpReturnCallRef
}

// smallBulk is the largest constant length of a bulk operation that stays as it is and is charged like an instruction.
const smallBulk = 1024

// bulkLength tells the constant length of the bulk operation at position i, if it is constant and small. Any other is
// charged where the operation runs.
func (f *function) bulkLength(i int) (n int64, small bool) {
	if i == 0 || f.nodes[i-1].op != wasm.OpI32Const {
		return 0, false
	}
	if n = f.nodes[i-1].c; n < 0 || n > smallBulk {
		return 0, false
	}
	return n, true
}

// weight is the number of ticks the instruction at position i is charged where control passes it, without what a
// called function charges.
func (f *function) weight(i int) int64 {
	switch op := f.nodes[i].op; op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpEnd, wasm.OpElse, wasm.OpNop, wasm.OpTryTable, wasm.OpDrop:
		return 0
	case wasm.OpMemoryFill, wasm.OpMemoryCopy, wasm.OpMemoryInit, wasm.OpTableFill, wasm.OpTableCopy, wasm.OpTableInit:
		n, _ := f.bulkLength(i)
		return 8 + n/8
	case wasm.OpThrow, wasm.OpThrowRef:
		return 100 // the engine looks for the handler frame by frame
	default:
		if isCall(op) {
			return 4
		}
		return 1
	}
}

// summary is what the whole-module analysis keeps of a function.
type summary struct {
	calls    []int32 // successors in the call graph, see graph
	straight []int32 // those called outside loops, once for each call
	weight   int64   // ticks of the code outside loops
	frame    int64   // bytes of native stack
}

// A frame is the engine's: it keeps every value that lives across a call, or for which registers run out, in a slot
// of its own. The estimate is made to exceed the frames of what compilers produce, by a factor of two or so; a module
// made to beat it by some factor meets the engine's own ceiling at last.
const (
	frameBase  = 128
	frameSlot  = 8
	frameInstr = 2
	frameSet   = 4 // for each loop around the assignment of a local: its header may keep one more value
)

// slots is the number of slots of 8 bytes that values of these types take.
func slots(ts []wasm.ValType) int64 {
	n := int64(len(ts))
	for _, t := range ts {
		if t == wasm.V128 {
			n++
		}
	}
	return n
}

// frameSize estimates the frame of the i-th function the module defines, which f holds.
func (f *function) frameSize(m *wasm.Module, i int, funcType func(uint32) *wasm.FuncType) int64 {
	typ := &m.Types[m.Funcs[i]]
	values := slots(typ.Params) + slots(typ.Results)
	for _, g := range m.Codes[i].Locals {
		values += int64(g.Count) * slots([]wasm.ValType{g.Type})
	}
	var area, sets, loops int64 // area is what the largest call passes on the stack
	f.open = f.open[:0]
	for k := range f.nodes {
		n := &f.nodes[k]
		for len(f.open) > 0 && int32(k) > f.nodes[f.open[len(f.open)-1]].match {
			f.open = f.open[:len(f.open)-1]
			loops--
		}
		var t *wasm.FuncType
		switch n.op {
		case wasm.OpLoop:
			loops++
			f.open = append(f.open, int32(k))
			fallthrough
		case wasm.OpBlock, wasm.OpIf, wasm.OpTryTable:
			if b := f.blocks[n.side]; b.Form == wasm.BlockIndex {
				t = &m.Types[b.Index]
				values += slots(t.Params) + slots(t.Results)
			}
			continue
		case wasm.OpLocalSet, wasm.OpLocalTee:
			sets += loops
		case wasm.OpCall, wasm.OpReturnCall:
			t = funcType(n.x)
		case wasm.OpCallIndirect, wasm.OpCallRef, wasm.OpReturnCallIndirect, wasm.OpReturnCallRef:
			t = &m.Types[n.x]
		}
		if t != nil {
			p, r := slots(t.Params), slots(t.Results)
			area = max(area, p+r)
			if r > 1 {
				values += r
			}
		}
	}
	return frameBase + frameSlot*(values+area) + frameInstr*int64(len(f.nodes)) + frameSet*sets
}
