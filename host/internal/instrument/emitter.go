package instrument

import (
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// emitter writes the instrumented body of one function after the other. Labels are kept as positions: the position of
// a label is the number of blocks that are open in the output once its block is, and zero for the function.
type emitter struct {
	w    *rewriter
	own  function
	f    *function
	g    *gnode
	typ  *wasm.FuncType
	body []byte // of the original
	out  code

	depth  int // blocks open in the output
	frames []frame
	leaf   leaf

	meter
	locals  uint32 // of the original, parameters included
	added   []wasm.ValType
	counter uint32 // i64 local with the ticks, inside a leaf loop; indices plus one
	depthAt uint32 // i64 local with the stack left below this frame
	scratch uint32 // i32 local

	checked bool  // something is checked at the entry
	margin  int64 // stack that must be left below this frame

	marks *[]mark // where what is written comes from, if anybody wants to know
}

// mark says that the code from out on, up to the next mark, comes from the instruction at in of the original body.
type mark struct{ out, in int32 }

// mark notes that what is written next comes from the instruction at position k.
func (e *emitter) mark(k int) {
	if e.marks != nil {
		*e.marks = append(*e.marks, mark{int32(len(e.out)), e.f.nodes[k].start})
	}
}

// frame is an open block of the original; frame 0 is the function.
type frame struct {
	pos   int
	node  int // that opened it
	block wasm.BlockType
	loop  bool
	slow  bool // has a slow path behind it
	leaf  bool // is the outermost loop of a leaf nest
}

// leaf is the nest of loops without hot calls that is being written, if any. Inside it the ticks are in a local.
// Branches that leave it go through a block of their own, which writes the local back.
type leaf struct {
	active bool
	base   int        // number of frames around it
	exits  []leafExit // the frames that branches go to
	at     []exitAt   // by frame: where it stands in exits
	serial int        // of this nest, so that at needs no clearing
}

type leafExit struct{ frame, pos int }

type exitAt struct{ serial, index int }

// exit finds the block for branches to a frame.
func (l *leaf) exit(frame int) (int, bool) {
	if frame < len(l.at) && l.at[frame].serial == l.serial {
		return l.at[frame].index, true
	}
	return 0, false
}

func (l *leaf) addExit(frame int) {
	if _, ok := l.exit(frame); ok {
		return
	}
	if frame >= len(l.at) {
		l.at = append(l.at, make([]exitAt, frame+1-len(l.at))...)
	}
	l.at[frame] = exitAt{l.serial, len(l.exits)}
	l.exits = append(l.exits, leafExit{frame: frame})
}

func (e *emitter) function(i int) wasm.Code {
	w := e.w
	src := &w.in.Codes[i]
	e.f = &e.own
	e.g = &w.graph.nodes[w.in.ImportCount(wasm.KindFunc)+i]
	e.typ = &w.in.Types[w.in.Funcs[i]]
	e.body = src.Body
	e.out = make([]byte, 0, len(src.Body)+len(src.Body)/4+64)
	e.depth = 0
	e.frames = append(e.frames[:0], frame{})
	e.leaf.active = false
	e.added = e.added[:0]
	e.counter, e.depthAt, e.scratch = 0, 0, 0
	e.locals = uint32(len(e.typ.Params))
	for _, g := range src.Locals {
		e.locals += g.Count
	}
	e.measure(e.f, w.graph)
	e.enter(w.in.ImportCount(wasm.KindFunc) + i)
	for k := 0; k < len(e.f.nodes); k++ {
		k = e.node(k)
	}
	c := wasm.Code{Locals: src.Locals, Body: e.out}
	if len(e.added) > 0 {
		c.Locals = append([]wasm.LocalGroup(nil), src.Locals...)
		for _, t := range e.added {
			c.Locals = append(c.Locals, wasm.LocalGroup{Count: 1, Type: t})
		}
	}
	return c
}

// local returns the index of an added local, which *slot remembers.
func (e *emitter) local(slot *uint32, t wasm.ValType) uint32 {
	if *slot == 0 {
		e.added = append(e.added, t)
		*slot = e.locals + uint32(len(e.added))
	}
	return *slot - 1
}

// enter writes what stands at the entry of the function. The slow path stands behind the body, so that the body holds
// no call that the original does not:
//
//	loop $again
//	  block $slow
//	    ticks < 0 or stack below zero: br $slow
//	    ticks -= weight
//	    block
//	      ...
//	    end
//	    br $function
//	  end
//	  call $tick, $overflow or $enter
//	  br $again
//	end
//
// The innermost block is there for what it refuses: more values at the end of the body than the function returns.
func (e *emitter) enter(index int) {
	w := e.w
	ticks := e.g.self && !w.cfg.WithoutTicks
	stack := e.g.tracked && !w.cfg.WithoutStack
	e.checked = ticks || stack
	if !e.checked {
		return
	}
	o := &e.out
	e.open(wasm.OpLoop, e.labelType(0))
	e.open(wasm.OpBlock, wasm.BlockType{})
	e.margin = 0
	if stack {
		e.margin = w.graph.margin(index)
		o.global(wasm.OpGlobalGet, w.gStack).i64(e.g.frame).raw(opI64Sub)
		o.local(wasm.OpLocalTee, e.local(&e.depthAt, wasm.I64))
		if e.margin > 0 {
			o.i64(e.margin).raw(opI64Sub)
		}
	}
	if ticks {
		o.global(wasm.OpGlobalGet, w.gTicks)
		if stack {
			o.raw(opI64Or)
		}
	}
	o.i64(0).raw(opI64LtS)
	e.br(wasm.OpBrIf, e.depth)
	if ticks {
		e.charge(max(e.entry, 1))
	}
	e.open(wasm.OpBlock, e.labelType(0))
}

// leave writes what stands at the end of the function.
func (e *emitter) leave() {
	if e.checked {
		w := e.w
		e.close()
		e.br(wasm.OpBr, 0)
		e.close()
		e.mark(0)
		switch {
		case e.depthAt == 0:
			e.out.call(w.helper(helpTick))
		case !e.g.self || w.cfg.WithoutTicks:
			e.out.call(w.helper(helpOverflow))
		default:
			e.out.local(wasm.OpLocalGet, e.depthAt-1).i64(e.margin).raw(opI64Sub).call(w.helper(helpEnter))
		}
		e.br(wasm.OpBr, e.depth)
		e.close()
	}
	e.out.end()
}

// charge takes ticks from the counter in use.
func (e *emitter) charge(n int64) {
	e.get()
	e.out.i64(n).raw(opI64Sub)
	e.set()
}

func (e *emitter) get() {
	if e.leaf.active {
		e.out.local(wasm.OpLocalGet, e.counter-1)
		return
	}
	e.out.global(wasm.OpGlobalGet, e.w.gTicks)
}

func (e *emitter) set() {
	if e.leaf.active {
		e.out.local(wasm.OpLocalSet, e.counter-1)
		return
	}
	e.out.global(wasm.OpGlobalSet, e.w.gTicks)
}

// flush writes the local counter back; outside leaf nests there is none.
func (e *emitter) flush() {
	if e.leaf.active {
		e.out.local(wasm.OpLocalGet, e.counter-1).global(wasm.OpGlobalSet, e.w.gTicks)
	}
}

func (e *emitter) reload() {
	if e.leaf.active {
		e.out.global(wasm.OpGlobalGet, e.w.gTicks).local(wasm.OpLocalSet, e.counter-1)
	}
}

func (e *emitter) open(op wasm.Op, t wasm.BlockType) {
	e.out = wasm.AppendBlockType(append(e.out, byte(op)), t)
	e.depth++
}

func (e *emitter) close() {
	e.out.end()
	e.depth--
}

// br writes a branch to a position.
func (e *emitter) br(op wasm.Op, pos int) { e.out.op(op).u32(uint32(e.depth - pos)) }

// target is the position a label of the original goes to.
func (e *emitter) target(label uint32) int { return e.targetFrame(len(e.frames) - 1 - int(label)) }

func (e *emitter) targetFrame(frame int) int {
	if e.leaf.active && frame < e.leaf.base {
		if i, ok := e.leaf.exit(frame); ok {
			return e.leaf.exits[i].pos
		}
	}
	return e.frames[frame].pos
}

func (e *emitter) copy(n *node) { e.out = append(e.out, e.body[n.start:n.end]...) }

// node writes the instruction at position k and, of a loop that is unrolled, all its body. It returns the position of
// the last instruction it wrote.
func (e *emitter) node(k int) int {
	e.mark(k)
	if e.f.nodes[k].op == wasm.OpLoop {
		return e.loop(k)
	}
	e.plain(k)
	if n := e.charges[k]; n > 0 && !e.w.cfg.WithoutTicks {
		e.charge(n)
	}
	return k
}

func (e *emitter) plain(k int) {
	n := &e.f.nodes[k]
	switch n.op {
	case wasm.OpBlock, wasm.OpIf:
		e.open(n.op, e.f.blocks[n.side])
		e.frames = append(e.frames, frame{pos: e.depth, node: k, block: e.f.blocks[n.side]})
	case wasm.OpTryTable:
		e.tryTable(k)
	case wasm.OpEnd:
		e.endBlock()
	case wasm.OpBr:
		e.br(n.op, e.targetFrame(e.throughTable(k, len(e.frames)-1-int(n.x))))
	case wasm.OpBrIf:
		e.br(n.op, e.target(n.x))
	case wasm.OpBrOnNull, wasm.OpBrOnNonNull:
		e.br(n.op, e.target(n.x))
	case wasm.OpBrTable:
		e.out.op(n.op).u32(uint32(n.count - 1))
		for _, l := range e.f.labels[n.side : n.side+n.count] {
			e.out.u32(uint32(e.depth - e.target(l)))
		}
	case wasm.OpReturn:
		if e.leaf.active {
			e.br(wasm.OpBr, e.targetFrame(0))
			return
		}
		e.copy(n)
	case wasm.OpUnreachable, wasm.OpThrow, wasm.OpThrowRef:
		e.flush()
		e.copy(n)
	case wasm.OpCall, wasm.OpCallIndirect, wasm.OpCallRef,
		wasm.OpReturnCall, wasm.OpReturnCallIndirect, wasm.OpReturnCallRef:
		e.call(n)
	case wasm.OpMemorySize:
		e.copy(n)
		if e.w.virtual {
			e.out.global(wasm.OpGlobalGet, e.w.gHidden).raw(opI32Sub)
		}
	default:
		e.bulk(k)
	}
}

func (e *emitter) call(n *node) {
	e.flush()
	if e.depthAt != 0 && e.w.graph.nodes[e.w.graph.callee(n)].tracked {
		e.out.local(wasm.OpLocalGet, e.depthAt-1)
		if isReturnCall(n.op) { // the callee takes the place of this frame
			e.out.i64(e.g.frame).raw(opI64Add)
		}
		e.out.global(wasm.OpGlobalSet, e.w.gStack)
	}
	e.copy(n)
}

// bulk writes an instruction whose cost depends on an operand, and any other one as it is.
func (e *emitter) bulk(k int) {
	n := &e.f.nodes[k]
	ticks := !e.w.cfg.WithoutTicks
	switch {
	case n.op == wasm.OpMemoryGrow && (e.w.virtual || ticks):
		e.out.call(e.w.helper(helpGrow))
	case !ticks || !e.f.isHot(k):
		e.copy(n)
	case n.op == wasm.OpMemoryFill:
		e.out.call(e.w.helper(helpFill))
	case n.op == wasm.OpMemoryCopy:
		e.out.call(e.w.helper(helpCopy))
	default:
		s := e.local(&e.scratch, wasm.I32)
		o := &e.out
		o.local(wasm.OpLocalSet, s)
		o.global(wasm.OpGlobalGet, e.w.gTicks)
		o.local(wasm.OpLocalGet, s).raw(opI64ExtendI32U).raw(opI64Sub)
		o.global(wasm.OpGlobalSet, e.w.gTicks)
		o.global(wasm.OpGlobalGet, e.w.gTicks).i64(0).raw(opI64LtS).ifThen().call(e.w.helper(helpTick)).end()
		o.local(wasm.OpLocalGet, s)
		e.copy(n)
	}
}

func (e *emitter) tryTable(k int) {
	n := &e.f.nodes[k]
	t := e.f.blocks[n.side]
	e.out = wasm.AppendBlockType(append(e.out, byte(wasm.OpTryTable)), t)
	catches := e.f.catches[n.x]
	e.out.u32(uint32(len(catches)))
	for _, c := range catches {
		e.out.raw(c.Kind)
		if c.Kind < 2 {
			e.out.u32(c.Tag)
		}
		e.out.u32(uint32(e.depth - e.target(c.Label)))
	}
	e.depth++
	e.frames = append(e.frames, frame{pos: e.depth, node: k, block: t})
}
