package instrument

import "github.com/taskhost/taskhost/host/internal/wasm"

// Some compilers, Go's among them, put a whole function into a loop that begins with a jump table over a local, and write every jump,
// forward ones too, as an assignment to that local and a branch to the loop:
//
//	loop $again
//	  block $b2
//	    block $b1
//	      block $b0
//	        local.get $next
//	        br_table $b0 $b1 $b2
//	      end
//	      ...
//	      i32.const 2
//	      local.set $next
//	      br $again
//	    end
//	    ...
//
// Where the block that the table leads to is still open, the branch may go to its end at once: it does not pass the loop's check, and
// not the table either.

// throughTable returns the frame that the br at position k leads to: target, which is the frame of its label, or if that is such a loop
// the block behind its table.
func (e *emitter) throughTable(k, target int) int {
	nodes := e.f.nodes
	if target < 1 || !e.frames[target].loop || k < 2 || nodes[k-1].op != wasm.OpLocalSet || nodes[k-2].op != wasm.OpI32Const {
		return target
	}
	loop := e.frames[target].node
	at := loop + 1
	for nodes[at].op == wasm.OpBlock {
		at++
	}
	get, table := &nodes[at], &nodes[at+1]
	if get.op != wasm.OpLocalGet || table.op != wasm.OpBrTable || get.x != nodes[k-1].x {
		return target
	}
	if params, _ := e.blockTypes(e.frames[target].block); len(params) > 0 {
		return target
	}
	labels := e.f.labels[table.side : table.side+table.count]
	label := labels[min(uint64(uint32(nodes[k-2].c)), uint64(len(labels)-1))]
	blocks := at - loop - 1
	if int(label) >= blocks {
		return target
	}
	behind := target + blocks - int(label)
	if behind >= len(e.frames) || e.frames[behind].node != loop+blocks-int(label) || len(e.labelValues(behind)) > 0 {
		return target
	}
	return behind
}
