package instrument

import (
	"fmt"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// rewriter turns one module into its instrumented form. in is the original; out shares with it what stays the same.
type rewriter struct {
	cfg   Config
	in    *wasm.Module
	out   *wasm.Module
	graph *graph
	state restorable

	hasMemory bool
	virtual   bool   // memory.size and memory.grow are ours
	ownTable  uint32 // the table to leave through

	// indices of what is added
	gTicks, gFuel, gSlice, gFlag, gReason, gStack, gHidden uint32
	helpers                                                helpers
	signatures                                             map[string]uint32 // of added types
}

func newRewriter(m *wasm.Module, cfg Config) (*rewriter, error) {
	unshare(m)
	w := &rewriter{cfg: cfg, in: m, signatures: map[string]uint32{}}
	out := *m
	w.out = &out
	_, imported, ok := m.Memory()
	w.hasMemory = ok
	w.virtual = ok && !imported && !cfg.WithoutVirtualMemory
	w.state.module(m)
	tallies := make([]struct {
		work  float64
		size  int
		state restorable
	}, runs(m))
	var err error
	w.graph, err = newGraph(m, cfg.Work, func(run, i int, f *function) {
		t := &tallies[run]
		t.work += f.effort.work()
		t.size += len(m.Codes[i].Body)
		t.state.function(f)
	})
	if err != nil {
		return nil, err
	}
	work, size := 0.0, 0
	for i := range tallies {
		work += tallies[i].work
		size += tallies[i].size
		w.state.join(&tallies[i].state)
	}
	if work > cfg.Work+cfg.WorkPerByte*float64(size) {
		return nil, fmt.Errorf("instrument: compiling its %d functions would take too long: they have too many branches and variables for their size", len(m.Codes))
	}
	return w, nil
}

// unshare makes a shared memory one that is not. An instance has one thread, which memory.atomic.wait would block in the engine, where
// nothing ends it; on a memory that is not shared it traps. All else is the same.
func unshare(m *wasm.Module) {
	for i := range m.Memories {
		m.Memories[i].Shared = false
	}
	for i := range m.Imports {
		m.Imports[i].Memory.Shared = false
	}
}

// begin adds to out what the functions' new bodies refer to.
func (w *rewriter) begin() error {
	m := w.out
	m.Types = append([]wasm.FuncType(nil), m.Types...)
	m.Funcs = append([]uint32(nil), m.Funcs...)
	m.Globals = append([]wasm.Global(nil), m.Globals...)
	m.Exports = append([]wasm.Export(nil), m.Exports...)
	m.Tables = append([]wasm.Table(nil), m.Tables...)
	if err := w.limitTables(); err != nil {
		return err
	}
	w.addGlobals()
	w.addTable()
	w.prepare()
	m.Codes = make([]wasm.Code, len(w.in.Codes), len(w.in.Codes)+8)
	return nil
}

func (w *rewriter) rewrite() (*Result, error) {
	if err := w.begin(); err != nil {
		return nil, err
	}
	m := w.out
	err := spread(w.in, func(_, from, to int) error {
		e := emitter{w: w}
		for i := from; i < to; i++ {
			if err := e.own.load(w.in, i); err != nil {
				return err
			}
			m.Codes[i] = e.function(i)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.Start != nil {
		m.Start = nil
		w.export(ExportStart, wasm.KindFunc, w.helper(helpStart))
	}
	w.addHelpers()
	w.joinDatas()
	res := &Result{Module: w.in, HasStart: w.in.Start != nil, VirtualMemory: w.virtual, slice: w.cfg.Slice, stack: w.cfg.StackBytes}
	w.exportGlobals(res)
	w.customs()
	res.Reasons = w.state.reasons()
	res.Restorable = len(res.Reasons) == 0
	res.Wasm = m.Encode()
	return res, nil
}

func (w *rewriter) addGlobal(name string, t wasm.ValType, value int64) uint32 {
	op := byte(wasm.OpI32Const)
	if t == wasm.I64 {
		op = byte(wasm.OpI64Const)
	}
	init := append(wasm.AppendS64([]byte{op}, value), byte(wasm.OpEnd))
	w.out.Globals = append(w.out.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: t, Mutable: true}, Init: init})
	index := uint32(w.out.GlobalCount() - 1)
	w.export(name, wasm.KindGlobal, index)
	return index
}

func (w *rewriter) export(name string, k wasm.Kind, index uint32) {
	w.out.Exports = append(w.out.Exports, wasm.Export{Name: name, Kind: k, Index: index})
}

func (w *rewriter) addGlobals() {
	w.gReason = w.addGlobal(ExportReason, wasm.I32, 0)
	if !w.cfg.WithoutTicks {
		w.gTicks = w.addGlobal(ExportTicks, wasm.I64, w.cfg.Slice)
		w.gFuel = w.addGlobal(ExportFuel, wasm.I64, Unlimited-w.cfg.Slice)
		w.gSlice = w.addGlobal(ExportSlice, wasm.I64, w.cfg.Slice)
		w.gFlag = w.addGlobal(ExportFlag, wasm.I32, 0)
	}
	if !w.cfg.WithoutStack {
		w.gStack = w.addGlobal(ExportStack, wasm.I64, w.cfg.StackBytes)
	}
	if w.virtual {
		w.gHidden = w.addGlobal(ExportHidden, wasm.I32, 0)
	}
}

// limitTables lowers the maxima of the module's tables, each by as much, so that together they stay within the bound. A table that
// cannot grow further is something every guest has to expect.
func (w *rewriter) limitTables() error {
	limit, sum := w.cfg.TableElements, int64(0)
	for i := range w.out.Tables {
		if sum += int64(w.out.Tables[i].Limits.Min); sum > limit {
			return fmt.Errorf("instrument: the tables have %d elements or more, %d are allowed", sum, limit)
		}
	}
	for i := range w.out.Tables {
		l := &w.out.Tables[i].Limits
		if l.HasMax && l.Max < l.Min {
			continue // for the engine to refuse
		}
		if most := int64(l.Min) + (limit-sum)/int64(len(w.out.Tables)); !l.HasMax || int64(l.Max) > most {
			l.HasMax, l.Max = true, uint32(most)
		}
	}
	return nil
}

// addTable adds a table of no use to the guest: its one element, when the host has set it, is the function to leave through. A
// table leaves all indices as they are, where an import would not.
func (w *rewriter) addTable() {
	if w.cfg.WithoutTicks {
		return
	}
	w.out.Tables = append(w.out.Tables, wasm.Table{Type: wasm.Funcref, Limits: wasm.Limits{Min: 1, Max: 1, HasMax: true}})
	w.ownTable = uint32(w.out.TableCount() - 1)
	w.export(ExportYield, wasm.KindTable, w.ownTable)
}

// exportGlobals exports the guest's mutable globals.
func (w *rewriter) exportGlobals(res *Result) {
	imports := w.in.ImportCount(wasm.KindGlobal)
	for i, g := range w.in.Globals {
		if !g.Mutable {
			continue
		}
		index := uint32(imports + i)
		name := fmt.Sprintf("%sglobal.%d", Prefix, index)
		w.export(name, wasm.KindGlobal, index)
		res.Globals = append(res.Globals, Global{Name: name, Index: index, Type: g.Type})
	}
}

// prepare adds what the functions' new bodies may refer to, so that they can be written on several cores and come out the same.
func (w *rewriter) prepare() {
	if len(w.in.Codes) == 0 {
		return
	}
	if !w.cfg.WithoutTicks {
		w.helper(helpTick)
	}
	if !w.cfg.WithoutStack {
		w.helper(helpOverflow)
		if !w.cfg.WithoutTicks {
			w.helper(helpEnter)
		}
	}
	if w.hasMemory && (w.virtual || !w.cfg.WithoutTicks) {
		w.helper(helpGrow)
	}
	if w.hasMemory && !w.cfg.WithoutTicks {
		w.helper(helpFill)
		w.helper(helpCopy)
	}
	for i := range w.in.Types {
		for _, values := range [][]wasm.ValType{w.in.Types[i].Params, w.in.Types[i].Results} {
			if len(values) > 1 {
				w.signature(nil, values)
			}
		}
	}
}

// signature returns the index of a function type that stands alone.
func (w *rewriter) signature(params, results []wasm.ValType) uint32 {
	t := wasm.FuncType{Params: params, Results: results}
	key := t.String()
	if i, ok := w.signatures[key]; ok {
		return i
	}
	i := uint32(len(w.out.Types))
	w.out.Types = append(w.out.Types, t)
	w.signatures[key] = i
	return i
}
