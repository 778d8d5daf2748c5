package instrument

import (
	"encoding/binary"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

const (
	// foldLimit is the number of ticks up to which a function without loops, that cannot recurse, is charged to its
	// callers instead of at its entry.
	foldLimit = 256
	// importCost is what a call of an imported function is charged.
	importCost = 16
	// importStack is the native stack a call of an imported function is taken to need, when it leads to a module on
	// the same stack.
	importStack = 4 << 10
	// chainLimit is the native stack that functions may take without counting.
	chainLimit = 64 << 10
)

// graph is the call graph and what follows from it. Nodes are the functions, imports first, and behind them one node
// for each shape of function type, which stands for every function of that shape that an indirect call can reach.
type graph struct {
	m     *wasm.Module
	nf    int      // number of functions
	nodes []gnode  // functions, then shapes
	shape []int32  // node of the shape of each type
	types []uint32 // type of each function
}

type gnode struct {
	succ     []int32
	straight []int32
	weight   int64
	frame    int64
	exported bool

	cyclic  bool  // can be entered again before it is left
	self    bool  // charges its ticks at its entry
	fold    int64 // otherwise: the ticks its callers charge for it
	tracked bool  // counts its stack
	chain   int64 // otherwise: the most native stack a call of it takes
}

// newGraph scans all functions, in runs on several cores. visit sees each of them once it is decoded, with the number of its run; maxWork
// bounds what one of them costs to compile.
func newGraph(m *wasm.Module, maxWork float64, visit func(run, i int, f *function)) (*graph, error) {
	g := &graph{m: m, nf: m.FuncCount(), shape: make([]int32, len(m.Types))}
	g.nodes = make([]gnode, g.nf, g.nf+len(m.Types))
	shapes := map[string]int32{}
	for i := range m.Types {
		key := shapeKey(&m.Types[i])
		n, ok := shapes[key]
		if !ok {
			n = int32(len(g.nodes))
			shapes[key] = n
			g.nodes = append(g.nodes, gnode{})
		}
		g.shape[i] = n
	}
	g.types = g.funcTypes()
	imports := m.ImportCount(wasm.KindFunc)
	taken := make([]bool, g.nf)
	g.takenOutside(taken)
	takenBy := make([][]bool, runs(m)) // by the functions of each run
	err := spread(m, func(run, from, to int) error {
		takenBy[run] = make([]bool, g.nf)
		e := newEffort(m, g.types, maxWork)
		f := function{effort: &e}
		for i := from; i < to; i++ {
			if err := f.load(m, i); err != nil {
				return err
			}
			visit(run, i, &f)
			s := g.summarize(i, &f, takenBy[run])
			n := &g.nodes[imports+i]
			n.succ, n.straight, n.weight, n.frame = s.calls, s.straight, s.weight, s.frame
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range takenBy {
		for i := range t {
			taken[i] = taken[i] || t[i]
		}
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.KindFunc {
			g.nodes[e.Index].exported = true
		}
	}
	if m.Start != nil {
		g.nodes[*m.Start].exported = true
	}
	for i, t := range taken {
		if t {
			s := &g.nodes[g.shape[g.types[i]]]
			s.succ = append(s.succ, int32(i))
		}
	}
	g.solve(imports)
	return g, nil
}

// shapeKey is equal for any two types between which an indirect call could pass: reference types with a heap type
// count as one.
func shapeKey(t *wasm.FuncType) string {
	b := binary.AppendUvarint(nil, uint64(len(t.Params)))
	for _, ts := range [][]wasm.ValType{t.Params, t.Results} {
		for _, v := range ts {
			c := v.Code
			if v.IsRef() {
				c = wasm.CodeRef
			}
			b = append(b, c)
		}
	}
	return string(b)
}

func (g *graph) funcTypes() []uint32 {
	types := make([]uint32, 0, g.nf)
	for i := range g.m.Imports {
		if g.m.Imports[i].Kind == wasm.KindFunc {
			types = append(types, g.m.Imports[i].TypeIndex)
		}
	}
	return append(types, g.m.Funcs...)
}

// takenOutside marks the functions whose address is taken outside of code: in element segments, globals and tables.
func (g *graph) takenOutside(taken []bool) {
	expr := func(x []byte) {
		for _, f := range wasm.RefFuncs(x) {
			taken[f] = true
		}
	}
	for i := range g.m.Elements {
		e := &g.m.Elements[i]
		for _, f := range e.Funcs {
			taken[f] = true
		}
		for _, x := range e.Exprs {
			expr(x)
		}
	}
	for i := range g.m.Globals {
		expr(g.m.Globals[i].Init)
	}
	for i := range g.m.Tables {
		expr(g.m.Tables[i].Init)
	}
	for _, e := range g.m.Exports { // another module can put it into a table of ours
		if e.Kind == wasm.KindFunc {
			taken[e.Index] = true
		}
	}
}

func (g *graph) summarize(i int, f *function, taken []bool) summary {
	var s summary
	loopEnd := int32(-1)
	seen := map[int32]bool{}
	for k := range f.nodes {
		n := &f.nodes[k]
		inLoop := int32(k) < loopEnd
		if n.op == wasm.OpLoop && !inLoop {
			loopEnd = n.match
			inLoop = true
		}
		if !inLoop {
			s.weight += f.weight(k)
		}
		if n.op == wasm.OpRefFunc {
			taken[n.x] = true
		}
		if !isCall(n.op) {
			continue
		}
		c := g.callee(n)
		if !seen[c] {
			seen[c] = true
			s.calls = append(s.calls, c)
		}
		if !inLoop {
			s.straight = append(s.straight, c)
		}
	}
	s.frame = f.frameSize(g.m, i, func(index uint32) *wasm.FuncType { return &g.m.Types[g.types[index]] })
	return s
}

// callee is the node a call goes to.
func (g *graph) callee(n *node) int32 {
	if n.op == wasm.OpCall || n.op == wasm.OpReturnCall {
		return int32(n.x)
	}
	return g.shape[n.x]
}

// solve fills in what follows from the edges, callees before callers.
func (g *graph) solve(imports int) {
	for i := range imports {
		g.nodes[i].fold = importCost
		g.nodes[i].chain = importStack
	}
	tarjan(len(g.nodes), func(i int32) []int32 { return g.nodes[i].succ }, func(scc []int32) {
		if len(scc) > 1 {
			for _, i := range scc {
				g.nodes[i].cyclic = true
			}
		} else {
			n := &g.nodes[scc[0]]
			for _, s := range n.succ {
				n.cyclic = n.cyclic || s == scc[0]
			}
		}
		for _, i := range scc {
			if int(i) >= imports {
				g.finish(i)
			}
		}
	})
}

// finish decides about one node; its callees outside its own component are finished.
func (g *graph) finish(i int32) {
	n := &g.nodes[i]
	shape := int(i) >= g.nf
	n.tracked = n.cyclic
	if shape { // stands for the dearest of the functions behind it
		for _, s := range n.succ {
			t := &g.nodes[s]
			n.fold = max(n.fold, t.fold)
			n.chain = max(n.chain, t.chain)
			n.tracked = n.tracked || t.tracked
		}
		n.fold = max(n.fold, importCost) // it may reach another module
		return
	}
	cost := n.weight
	for _, s := range n.straight {
		cost = min(cost+g.nodes[s].fold, foldLimit+1)
	}
	n.self = n.cyclic || n.exported || cost > foldLimit
	if !n.self {
		n.fold = cost
	}
	var below int64
	for _, s := range n.succ {
		n.tracked = n.tracked || g.nodes[s].tracked
		below = max(below, g.nodes[s].chain)
	}
	n.chain = below + n.frame
	if n.chain > chainLimit {
		n.tracked = true
	}
	if n.tracked {
		n.chain = 0
	}
}

// margin is the most native stack that calls of uncounted functions take below this one.
func (g *graph) margin(i int) int64 {
	var below int64
	for _, s := range g.nodes[i].succ {
		below = max(below, g.nodes[s].chain)
	}
	return below
}
