package instrument

import (
	"fmt"
	"slices"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// effort counts what makes a function expensive to compile. The engine's compiler takes the square of the number of basic blocks, and
// looks at each edge between them for each variable that lives across it: a few KiB of code can cost it minutes and gigabytes.
type effort struct {
	blocks    int // basic blocks, those that Rewrite adds included
	branches  int // edges that end where others end
	variables int // locals that are read in another block than where they were set
	values    int // what calls and blocks take and give, beyond what registers hold

	most   float64 // work that is allowed
	m      *wasm.Module
	types  []uint32 // of all functions
	block  uint32   // where the scan is
	set    []uint32 // by local: the last block that set it
	across []bool   // by local: it counts among the variables
}

// newEffort makes one for functions of m; types are those of all functions, most is the work that one of them may cost.
func newEffort(m *wasm.Module, types []uint32, most float64) effort {
	return effort{m: m, types: types, most: most}
}

// begin starts the count for the i-th function that the module defines.
func (e *effort) begin(i int) {
	n := len(e.m.Types[e.m.Funcs[i]].Params)
	for _, g := range e.m.Codes[i].Locals {
		n += int(g.Count)
	}
	e.blocks, e.branches, e.variables, e.values, e.block = 0, 0, 0, 0, 0
	e.set = slices.Grow(e.set[:0], n)[:n]
	clear(e.set)
	e.across = slices.Grow(e.across[:0], n)[:n]
	clear(e.across)
}

// add counts one instruction, which stands in so many loops.
func (e *effort) add(in *wasm.Instr, loops int) {
	if in.Block.Form == wasm.BlockIndex {
		e.pass(in.Block.Index)
	}
	switch in.Op {
	case wasm.OpLocalSet, wasm.OpLocalTee:
		e.set[in.X] = e.block
	case wasm.OpLocalGet:
		if e.set[in.X] != e.block && !e.across[in.X] {
			e.across[in.X] = true
			e.variables++
		}
	case wasm.OpBlock:
		e.next(1, 1)
	case wasm.OpTryTable:
		e.next(1+len(in.Catches), 1+len(in.Catches))
	case wasm.OpLoop: // with the checks, and written out four times
		e.next(10, 16+loops)
	case wasm.OpIf:
		e.next(3, 3)
	case wasm.OpElse, wasm.OpEnd:
		e.next(0, 0)
	case wasm.OpBr:
		e.next(0, 1)
	case wasm.OpBrIf, wasm.OpBrOnNull, wasm.OpBrOnNonNull:
		e.next(1, 2)
	case wasm.OpBrTable:
		e.next(len(in.Labels), len(in.Labels))
	case wasm.OpMemoryFill, wasm.OpMemoryCopy: // a loop
		e.next(3, 3)
	case wasm.OpCall, wasm.OpReturnCall:
		e.pass(e.types[in.X])
	case wasm.OpCallIndirect, wasm.OpCallRef, wasm.OpReturnCallIndirect, wasm.OpReturnCallRef:
		e.pass(in.X)
	}
}

// pass counts what a call passes, or a block.
func (e *effort) pass(typ uint32) {
	const registers = 16
	t := &e.m.Types[typ]
	e.values += max(len(t.Params)+len(t.Results)-registers, 0)
}

// next ends a basic block.
func (e *effort) next(blocks, branches int) {
	e.block++
	e.blocks += blocks
	e.branches += branches
}

// work estimates what the function costs the compiler, in units of some 8 ns.
func (e *effort) work() float64 {
	blocks, branches := float64(e.blocks), float64(e.branches)
	return blocks*blocks + 64*branches*float64(e.variables) + 1000*float64(e.values)
}

// check refuses the i-th function that the module defines if it costs too much.
func (e *effort) check(i int) error {
	if e.work() <= e.most {
		return nil
	}
	return fmt.Errorf("instrument: compiling function %d would take too long: it has %d branches, %d variables that live across them, and passes %d values",
		e.m.ImportCount(wasm.KindFunc)+i, e.branches, e.variables, e.values)
}
