package instrument

import (
	"slices"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// loop opens a loop. The check stands at its header, the slow path behind it, so that the hot loop holds no call:
//
//	block $done
//	  loop $slow
//	    block $need
//	      loop $hot
//	        ticks < 0: br $need
//	        ticks -= weight
//	        ...
//	      end
//	      br $done
//	    end
//	    call $tick
//	    br $slow
//	  end
//	end
//
// It returns the position of the last instruction it wrote.
func (e *emitter) loop(k int) int {
	n := &e.f.nodes[k]
	t := e.f.blocks[n.side]
	f := frame{node: k, block: t, loop: true}
	if e.w.cfg.WithoutTicks {
		e.open(wasm.OpLoop, t)
		f.pos = e.depth
		e.frames = append(e.frames, f)
		return k
	}
	weight := max(e.charges[k], 1)
	if params, _ := e.blockTypes(t); len(params) > 0 {
		e.open(wasm.OpLoop, t)
		e.get()
		e.out.i64(0).raw(opI64LtS).ifThen()
		e.flush()
		e.out.call(e.w.helper(helpTick))
		e.reload()
		e.out.end()
		e.charge(weight)
		f.pos = e.depth
		e.frames = append(e.frames, f)
		return k
	}
	if !e.leaf.active && !e.f.hasTry && e.hot[n.match] == e.hot[k] {
		f.leaf = e.openLeaf(k)
	}
	f.slow = true
	e.open(wasm.OpBlock, t)
	e.open(wasm.OpLoop, t)
	e.open(wasm.OpBlock, wasm.BlockType{})
	need := e.depth
	e.open(wasm.OpLoop, t)
	f.pos = e.depth
	e.get()
	e.out.i64(0).raw(opI64LtS)
	e.br(wasm.OpBrIf, need)
	times := e.unroll(k)
	e.charge(weight * int64(times))
	for i := 1; i < times; i++ {
		e.open(wasm.OpBlock, wasm.BlockType{}) // where going round the loop goes on
		copied := frame{pos: e.depth, node: k, block: t, loop: true}
		e.frames = append(e.frames, copied)
		for j := k + 1; j < int(n.match); j++ {
			j = e.node(j)
		}
		e.frames = e.frames[:len(e.frames)-1]
		e.charge(-weight * int64(times-i)) // rounds that do not take place
		e.br(wasm.OpBr, f.pos-3)
		e.close()
	}
	e.frames = append(e.frames, f)
	return k
}

// The sizes, in instructions, up to which the body of an innermost loop is written four times and twice, so that its
// check is passed once in so many rounds.
const (
	unrollFour = 24
	unrollTwo  = 60
)

// unroll is how often the body of the loop at position k is written.
func (e *emitter) unroll(k int) int {
	if e.w.cfg.WithoutUnrolling || !e.leaf.active {
		return 1
	}
	size := int(e.f.nodes[k].match) - k
	if size > unrollTwo {
		return 1
	}
	for i := k + 1; i < k+size; i++ {
		if e.f.nodes[i].op == wasm.OpLoop {
			return 1
		}
	}
	if size > unrollFour {
		return 2
	}
	return 4
}

// endBlock closes a block of the original, or the function.
func (e *emitter) endBlock() {
	f := e.frames[len(e.frames)-1]
	e.frames = e.frames[:len(e.frames)-1]
	if len(e.frames) == 0 {
		e.leave()
		return
	}
	e.close()
	if !f.slow {
		return
	}
	done := f.pos - 3
	e.br(wasm.OpBr, done)
	e.close()
	e.mark(int(e.f.nodes[f.node].match) - 1) // what goes round: compilers say of the loop itself that it is the line before
	e.flush()
	e.out.call(e.w.helper(helpTick))
	e.reload()
	e.br(wasm.OpBr, done+1)
	e.close()
	e.close()
	if f.leaf {
		e.closeLeaf()
	}
}

// openLeaf begins a leaf nest at the loop at position k: a block for what follows it, and one for each place that
// branches from inside it go to. It reports false, and writes nothing, when a branch out carries many values.
func (e *emitter) openLeaf(k int) bool {
	e.leaf.base = len(e.frames)
	e.leaf.exits = e.leaf.exits[:0]
	e.leaf.serial++
	depth := 0
	see := func(label uint32) {
		frame := e.leaf.base + depth - 1 - int(label)
		if frame >= e.leaf.base {
			return
		}
		e.leaf.addExit(frame)
	}
	for i := k; i < int(e.f.nodes[k].match); i++ {
		n := &e.f.nodes[i]
		switch n.op {
		case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
			depth++
		case wasm.OpEnd:
			depth--
		case wasm.OpBr, wasm.OpBrIf, wasm.OpBrOnNull, wasm.OpBrOnNonNull:
			see(n.x)
		case wasm.OpBrTable:
			for _, l := range e.f.labels[n.side : n.side+n.count] {
				see(l)
			}
		case wasm.OpReturn:
			e.leaf.addExit(0)
		}
	}
	for _, x := range e.leaf.exits {
		if len(e.labelValues(x.frame)) > maxCarried {
			return false
		}
	}
	e.local(&e.counter, wasm.I64)
	e.out.global(wasm.OpGlobalGet, e.w.gTicks).local(wasm.OpLocalSet, e.counter-1)
	if len(e.leaf.exits) > 0 {
		e.open(wasm.OpBlock, e.f.blocks[e.f.nodes[k].side])
		for i := range e.leaf.exits {
			x := &e.leaf.exits[i]
			e.open(wasm.OpBlock, e.labelType(x.frame))
			x.pos = e.depth
		}
	}
	e.leaf.active = true
	return true
}

// maxCarried is the largest number of values that branches out of a leaf nest carry.
const maxCarried = 8

func (e *emitter) closeLeaf() {
	if len(e.leaf.exits) > 0 {
		e.br(wasm.OpBr, e.leaf.exits[0].pos-1)
		for _, x := range slices.Backward(e.leaf.exits) {
			e.close()
			e.flush()
			e.br(wasm.OpBr, e.frames[x.frame].pos)
		}
		e.close()
	}
	e.flush()
	e.leaf.active = false
}

// blockTypes are the parameters and results of a block.
func (e *emitter) blockTypes(t wasm.BlockType) (params, results []wasm.ValType) {
	switch t.Form {
	case wasm.BlockValue:
		return nil, []wasm.ValType{t.Value}
	case wasm.BlockIndex:
		f := &e.w.in.Types[t.Index]
		return f.Params, f.Results
	}
	return nil, nil
}

// labelValues are what a branch to the frame carries.
func (e *emitter) labelValues(frame int) []wasm.ValType {
	f := &e.frames[frame]
	params, results := e.blockTypes(f.block)
	switch {
	case frame == 0:
		return e.typ.Results
	case f.loop:
		return params
	}
	return results
}

// labelType is the type of a block whose results are what a branch to the frame carries.
func (e *emitter) labelType(frame int) wasm.BlockType {
	values := e.labelValues(frame)
	switch len(values) {
	case 0:
		return wasm.BlockType{}
	case 1:
		return wasm.BlockType{Form: wasm.BlockValue, Value: values[0]}
	}
	return wasm.BlockType{Form: wasm.BlockIndex, Index: e.w.signature(nil, values)}
}
