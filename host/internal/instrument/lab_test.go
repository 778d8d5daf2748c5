package instrument_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
	"github.com/taskhost/taskhost/host/internal/wasmtest"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// The forms in which a translated module runs, beside the original.
const (
	formLong   = iota // of slices that are never used up
	formShort         // of short ones
	formSingle        // leaves to Go at each check
	formStack         // with the smallest stack
	formCount
)

var forms = [formCount]instrument.Config{{Slice: 1 << 20}, {Slice: 1 << 10}, {Slice: 1, WithoutUnrolling: true}, {StackBytes: 4096}}

// lab runs translated modules (package wasmtest).
type lab struct {
	runtime wazero.Runtime
	yield   wazero.CompiledModule
	ended   map[instrument.Reason]int // bounded calls, by why they ended
}

const (
	labYield  = "yield"
	labModule = "lab"
)

// newLab makes a lab that keeps what it compiles in the cache.
func newLab(tb testing.TB, cache wazero.CompilationCache) *lab {
	tb.Helper()
	ctx := context.Background()
	config := wazero.NewRuntimeConfig().WithCompilationCache(cache).WithCoreFeatures(features | experimental.CoreFeaturesExtendedConst |
		experimental.CoreFeaturesExceptionHandling | experimental.CoreFeaturesThreads | experimental.CoreFeaturesTypedFunctionReferences)
	l := &lab{runtime: wazero.NewRuntimeWithConfig(ctx, config), ended: map[instrument.Reason]int{}}
	tb.Cleanup(func() {
		l.runtime.Close(ctx)
		cache.Close(ctx)
	})
	logs := l.runtime.NewHostModuleBuilder(wasmtest.Log)
	for name, typ := range map[string]api.ValueType{"log-i32": api.ValueTypeI32, "log-i64": api.ValueTypeI64,
		"log-f32": api.ValueTypeF32, "log-f64": api.ValueTypeF64, "log-v128": wasm.CodeV128} {
		logs.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
			ctx.Value(subjectKey{}).(*subject).logged(typ, stack)
		}), []api.ValueType{typ}, nil).Export(name)
	}
	yields := l.runtime.NewHostModuleBuilder(labModule).NewFunctionBuilder().WithGoFunction(api.GoFunc(func(context.Context, []uint64) {}), nil, nil).
		Export(labYield)
	for _, b := range []wazero.HostModuleBuilder{logs, yields} {
		if _, err := b.Instantiate(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	if l.yield, err = l.runtime.CompileModule(ctx, instrument.YieldModule(labModule, labYield)); err != nil {
		tb.Fatal(err)
	}
	return l
}

// subject is an instance of a translated module, original or instrumented.
type subject struct {
	api.Module
	control *instrument.Control // nil: it is the original
	yield   api.Module          // nil: it leaves by growing nothing
	log     []uint64            // what the call told the host
	trip    int                 // interrupt when the log is as long; 0: never
}

type subjectKey struct{}

func (s *subject) close() {
	ctx := context.Background()
	s.Close(ctx)
	if s.yield != nil {
		s.yield.Close(ctx)
	}
}

func (s *subject) logged(typ api.ValueType, stack []uint64) {
	s.log = append(s.log, uint64(typ))
	switch typ {
	case api.ValueTypeI32, api.ValueTypeF32:
		s.log = append(s.log, uint64(uint32(stack[0]))) // the engine leaves anything in the upper half
	case wasm.CodeV128:
		s.log = append(s.log, stack[0], stack[1])
	default:
		s.log = append(s.log, stack[0])
	}
	if s.trip > 0 && len(s.log) >= s.trip {
		s.control.Interrupt()
	}
}

// specimen is a translated module in all its forms.
type specimen struct {
	lab       *lab
	t         testing.TB
	functions []string // exported
	globals   []string // exported: all mutable ones
	steps     string   // the global with the number of steps that are left
	original  wazero.CompiledModule
	counting  wazero.CompiledModule // the original, which counts its instructions in the global counter
	forms     [formCount]wazero.CompiledModule
	results   [formCount]*instrument.Result
	random    *rand.Rand
}

// prepare compiles a module in all its forms; nil when the engine does not know its types.
func (l *lab) prepare(t testing.TB, data []byte) *specimen {
	t.Helper()
	s := &specimen{lab: l, t: t, random: rand.New(rand.NewPCG(uint64(len(data)), 3))}
	bin := wasmtest.Module(t, data, "testdata/guest.wasm", "testdata/kernels.wasm")
	if wasmtest.References(data) && l.refuses(t, bin) {
		return nil
	}
	bin = s.open(bin)
	ctx := context.Background()
	var err error
	if s.original, err = l.runtime.CompileModule(ctx, bin); err != nil {
		t.Fatal(err)
	}
	if s.counting, err = l.runtime.CompileModule(ctx, counting(t, bin)); err != nil {
		t.Fatal(err)
	}
	for i, cfg := range forms {
		if s.results[i], err = instrument.Rewrite(bin, cfg); err != nil {
			t.Fatal(err)
		}
		if s.forms[i], err = l.runtime.CompileModule(ctx, s.results[i].Wasm); err != nil {
			t.Fatalf("form %d: %v", i, err)
		}
	}
	return s
}

// refuses tells whether the engine refuses a module; then it must refuse the instrumented one, too.
func (l *lab) refuses(t testing.TB, bin []byte) bool {
	t.Helper()
	ctx := context.Background()
	c, err := l.runtime.CompileModule(ctx, bin)
	if err == nil {
		c.Close(ctx)
		return false
	}
	res, ours := instrument.Rewrite(bin, instrument.Config{})
	if ours == nil {
		_, ours = l.runtime.CompileModule(ctx, res.Wasm)
	}
	if ours == nil {
		t.Fatalf("the original is refused, the instrumented module is not: %v", err)
	}
	return true
}

func (s *specimen) close() {
	for _, c := range append(s.forms[:], s.original, s.counting) {
		c.Close(context.Background())
	}
}

// open exports all mutable globals of the module, so that they can be seen.
func (s *specimen) open(bin []byte) []byte {
	m, err := wasm.Decode(bin)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range m.Exports {
		if e.Kind == wasm.KindFunc && e.Name != wasmtest.Initializer {
			s.functions = append(s.functions, e.Name)
		}
	}
	steps, ok := wasmtest.Steps(m)
	if !ok {
		s.t.Fatal("the module does not count its steps")
	}
	s.steps = fmt.Sprintf("global.%d", steps)
	for i, g := range m.Globals {
		if !g.Mutable {
			continue
		}
		index := uint32(m.ImportCount(wasm.KindGlobal) + i)
		s.globals = append(s.globals, fmt.Sprintf("global.%d", index))
		m.Exports = append(m.Exports, wasm.Export{Name: s.globals[len(s.globals)-1], Kind: wasm.KindGlobal, Index: index})
	}
	return m.Encode()
}

// counter is the name of a global that counts instructions.
const counter = "counter"

// counting makes the module count what it executes, in the simplest way: before each instruction of control, the instructions since
// the last one.
func counting(t testing.TB, bin []byte) []byte {
	t.Helper()
	m, err := wasm.Decode(bin)
	if err != nil {
		t.Fatal(err)
	}
	global := uint32(m.GlobalCount())
	m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: wasm.I64, Mutable: true}, Init: []byte{byte(wasm.OpI64Const), 0, byte(wasm.OpEnd)}})
	m.Exports = append(m.Exports, wasm.Export{Name: counter, Kind: wasm.KindGlobal, Index: global})
	for i := range m.Codes {
		var body []byte
		count := int64(0)
		r := m.Instrs(i, nil)
		for in := r.Next(); in != nil; in = r.Next() {
			switch in.Op {
			case wasm.OpBlock, wasm.OpLoop, wasm.OpEnd, wasm.OpElse, wasm.OpTryTable, wasm.OpNop, wasm.OpDrop: // which do nothing
			default:
				count++
			}
			if in.Op <= wasm.OpReturnCallRef && count > 0 {
				body = wasm.AppendU32(append(body, byte(wasm.OpGlobalGet)), global)
				body = wasm.AppendS64(append(body, byte(wasm.OpI64Const)), count)
				const i64Add = 0x7c
				body = wasm.AppendU32(append(body, i64Add, byte(wasm.OpGlobalSet)), global)
				count = 0
			}
			body = append(body, m.Codes[i].Body[in.Start:in.End]...)
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		m.Codes[i].Body = body
	}
	return m.Encode()
}

// instantiate makes an instance of the module as it is.
func (s *specimen) instantiate(compiled wazero.CompiledModule) *subject {
	mod, err := s.lab.runtime.InstantiateModule(context.Background(), compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		s.t.Fatal(err)
	}
	return &subject{Module: mod}
}

// instrumented makes an instance of a form.
func (s *specimen) instrumented(form int) *subject {
	on := s.instantiate(s.forms[form])
	var err error
	if on.control, err = s.results[form].Bind(on.Module); err != nil {
		s.t.Fatal(err)
	}
	if form == formLong {
		return on
	}
	ctx := experimental.WithImportResolver(context.Background(), func(name string) api.Module {
		if name == instrument.YieldGuest {
			return on.Module
		}
		return nil
	})
	if on.yield, err = s.lab.runtime.InstantiateModule(ctx, s.lab.yield, wazero.NewModuleConfig().WithName("")); err != nil {
		s.t.Fatal(err)
	}
	return on
}
