package instrument_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// program generates random modules with much control flow that end: every loop header and every function entry takes
// one step from a global, and whoever finds none left returns.
type program struct {
	r      *rand.Rand
	b      []byte
	labels []int // arity of each open label, innermost last
	size   int
}

const (
	randomFuncs  = 4
	randomLocals = 5 // two of them parameters
)

func (p *program) op(b ...byte)     { p.b = append(p.b, b...) }
func (p *program) u32(v uint32)     { p.b = wasm.AppendU32(p.b, v) }
func (p *program) constant(v int64) { p.b = wasm.AppendS64(append(p.b, 0x41), v) }
func (p *program) get()             { p.op(0x20, byte(p.r.IntN(randomLocals))) }
func (p *program) set()             { p.op(0x21, byte(p.r.IntN(randomLocals))) }

// expr leaves an i32.
func (p *program) expr(depth int) {
	switch p.r.IntN(7) {
	case 0:
		p.constant(int64(p.r.IntN(16)))
	case 1, 2:
		p.get()
	case 3:
		p.expr0(depth)
		p.op(0x28, 2, 0) // load from within the first kilobyte
	case 4:
		p.op(0x3f, 0)
	default:
		if depth > 3 {
			p.get()
			return
		}
		p.expr(depth + 1)
		p.expr(depth + 1)
		ops := []byte{0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x49, 0x4b, 0x46}
		p.op(ops[p.r.IntN(len(ops))])
	}
}

func (p *program) expr0(depth int) {
	p.expr(depth + 1)
	p.constant(0x3fc)
	p.op(0x71)
}

// step returns when no steps are left, and takes one.
func (p *program) step() {
	p.op(0x23, 0, 0x45, 0x04, 0x40)
	p.constant(77)
	p.op(0x0f, 0x0b, 0x23, 0)
	p.constant(1)
	p.op(0x6b, 0x24, 0)
}

func (p *program) open(op byte, typ byte, arity, labelArity int) {
	p.op(op, typ)
	p.labels = append(p.labels, labelArity)
}

func (p *program) close() {
	p.op(0x0b)
	p.labels = p.labels[:len(p.labels)-1]
}

// stmts writes statements and reports whether control can reach the point behind them.
func (p *program) stmts(depth int) bool {
	for range 1 + p.r.IntN(5) {
		if p.size++; p.size > 220 {
			return true
		}
		if !p.stmt(depth) {
			return false
		}
	}
	return true
}

// body writes statements and, when control gets there, a value if one is wanted.
func (p *program) body(depth, arity int) {
	if p.stmts(depth+1) && arity > 0 {
		p.expr(0)
	}
}

func (p *program) stmt(depth int) bool {
	k := p.r.IntN(24)
	if depth > 6 && (k >= 4 && k <= 9 || k == 15 || k >= 20) {
		k = 0
	}
	switch k {
	default:
		p.expr(0)
		p.set()
	case 1:
		p.expr0(0)
		p.expr(0)
		p.op(0x36, 2, 0)
	case 2:
		p.expr(0)
		p.expr(0)
		p.op(0x10, byte(p.r.IntN(randomFuncs)))
		p.set()
	case 3:
		p.expr(0)
		p.expr(0)
		p.constant(int64(p.r.IntN(randomFuncs)))
		p.op(0x11, 0, 0)
		p.set()
	case 4:
		p.open(0x02, 0x40, 0, 0)
		p.body(depth, 0)
		p.close()
	case 5:
		p.open(0x02, 0x7f, 1, 1)
		p.body(depth, 1)
		p.close()
		p.set()
	case 6, 7:
		p.open(0x03, 0x40, 0, 0)
		p.step()
		p.body(depth, 0)
		p.close()
	case 8:
		p.open(0x03, 0x7f, 1, 0)
		p.step()
		p.body(depth, 1)
		p.close()
		p.set()
	case 9:
		p.expr(0)
		p.open(0x04, 0x40, 0, 0)
		p.body(depth, 0)
		if p.r.IntN(2) == 0 {
			p.op(0x05)
			p.body(depth, 0)
		}
		p.close()
	case 10, 11: // br_if
		l := p.r.IntN(len(p.labels))
		arity := p.labels[len(p.labels)-1-l]
		if arity > 0 {
			p.expr(0)
		}
		p.expr(0)
		p.op(0x0d)
		p.u32(uint32(l))
		if arity > 0 {
			p.op(0x1a)
		}
	case 12:
		l := p.r.IntN(len(p.labels))
		if p.labels[len(p.labels)-1-l] > 0 {
			p.expr(0)
		}
		p.op(0x0c)
		p.u32(uint32(l))
		return false
	case 13:
		p.brTable()
		return false
	case 14:
		p.expr(0)
		p.op(0x0f)
		return false
	case 15: // a loop with a parameter
		p.expr(0)
		p.open(0x03, 1, 1, 1)
		p.set()
		p.step()
		p.body(depth, 1)
		p.close()
		p.set()
	case 16:
		p.constant(int64(p.r.IntN(2)))
		p.op(0x40, 0)
		p.set()
	case 17:
		p.expr0(0)
		p.expr(0)
		p.expr0(0)
		p.op(0xfc, 11, 0)
	case 18:
		p.expr(0)
		p.expr(0)
		p.op(0x12, byte(p.r.IntN(randomFuncs)))
		return false
	case 19:
		p.expr(0)
		p.op(0x08, 0)
		return false
	case 21, 22:
		p.dispatch(depth)
	case 20: // the value of a caught exception, or of the body
		p.open(0x02, 0x7f, 1, 1)
		p.op(0x1f, 0x7f, 1, 0, 0, 0)
		p.labels = append(p.labels, 1)
		p.body(depth, 1)
		p.close()
		p.close()
		p.set()
	}
	return true
}

// dispatch writes blocks that jump to each other through a table at the beginning of a loop, as Go's compiler does.
func (p *program) dispatch(depth int) {
	next := byte(p.r.IntN(randomLocals))
	blocks := 1 + p.r.IntN(4)
	p.open(0x03, 0x40, 0, 0)
	loop := len(p.labels)
	jump := func() {
		p.constant(int64(p.r.IntN(blocks+3)) - 1)
		p.op(0x21, next, 0x0c)
		p.u32(uint32(len(p.labels) - loop))
	}
	for range blocks {
		p.open(0x02, 0x40, 0, 0)
	}
	p.op(0x20, next, 0x0e, byte(blocks))
	for range blocks + 1 {
		p.u32(uint32(p.r.IntN(blocks)))
	}
	for range blocks {
		p.close()
		p.step()
		if !p.stmts(depth + 1) {
			continue
		}
		p.expr(0)
		p.open(0x04, 0x40, 0, 0)
		jump()
		p.close()
		if p.stmts(depth+1) && p.r.IntN(2) == 0 {
			jump()
		}
	}
	p.close()
}

func (p *program) brTable() {
	arity := p.r.IntN(2)
	var with []uint32
	for i, a := range p.labels {
		if a == arity {
			with = append(with, uint32(len(p.labels)-1-i))
		}
	}
	if len(with) == 0 {
		p.op(0x00)
		return
	}
	if arity > 0 {
		p.expr(0)
	}
	p.expr(0)
	n := p.r.IntN(4)
	p.op(0x0e, byte(n))
	for range n + 1 {
		p.u32(with[p.r.IntN(len(with))])
	}
}

// randomModule is the module of a seed: functions of two parameters, the first exported as run.
func randomModule(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	i32 := []wasm.ValType{wasm.I32}
	m := &wasm.Module{
		Types: []wasm.FuncType{{Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32},
			{Params: i32, Results: i32}, {Params: i32}},
		Tags:     []uint32{2},
		Tables:   []wasm.Table{{Type: wasm.Funcref, Limits: wasm.Limits{Min: randomFuncs}}},
		Memories: []wasm.Limits{{Min: 1, Max: 20, HasMax: true}},
		Globals:  []wasm.Global{{GlobalType: wasm.GlobalType{Type: wasm.I32, Mutable: true}, Init: []byte{0x41, 0xd0, 0x0f, 0x0b}}},
		Exports:  []wasm.Export{{Name: "run", Kind: wasm.KindFunc}, {Name: "steps", Kind: wasm.KindGlobal}},
		Elements: []wasm.Element{{Offset: []byte{0x41, 0, 0x0b}, Funcs: []uint32{0, 1, 2, 3}}},
	}
	for range randomFuncs {
		p := &program{r: r, labels: []int{1}}
		p.step()
		p.body(0, 1)
		p.op(0x0b)
		m.Funcs = append(m.Funcs, 0)
		m.Codes = append(m.Codes, wasm.Code{Locals: []wasm.LocalGroup{{Count: randomLocals - 2, Type: wasm.I32}}, Body: p.b})
	}
	return m.Encode()
}

// runRandom compares a random module with its instrumented forms, in several calls one after the other.
func runRandom(t *testing.T, seed uint64) {
	ctx := context.Background()
	bin := randomModule(seed)
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features|experimental.CoreFeaturesExceptionHandling))
	defer r.Close(ctx)
	plain, err := r.InstantiateWithConfig(ctx, bin, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	var mods []api.Module
	var ctls []*instrument.Control
	for _, cfg := range []instrument.Config{{StackBytes: 1 << 28}, {StackBytes: 1 << 28, Slice: 37}, {StackBytes: 1 << 28, WithoutUnrolling: true, Slice: 1}} {
		res, err := instrument.Rewrite(bin, cfg)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		mod, err := r.InstantiateWithConfig(ctx, res.Wasm, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		ctl, err := res.Bind(mod)
		if err != nil {
			t.Fatal(err)
		}
		mods, ctls = append(mods, mod), append(ctls, ctl)
	}
	for call := range uint64(3) {
		want := describe(plain, call)
		var used []int64
		for i, mod := range mods {
			ctls[i].Begin(instrument.Unlimited)
			if got := describe(mod, call); got != want {
				t.Fatalf("seed %d, call %d, form %d: %s, want %s", seed, call, i, got, want)
			}
			used = append(used, ctls[i].Used())
		}
		if used[0] != used[1] {
			t.Errorf("seed %d, call %d: %d ticks, with small slices %d", seed, call, used[0], used[1])
		}
		a, _ := plain.Memory().Read(0, 1<<16)
		for i, mod := range mods {
			b, _ := mod.Memory().Read(0, 1<<16)
			if !bytes.Equal(a, b) || plain.Memory().Size() != mod.Memory().Size() {
				t.Fatalf("seed %d, call %d, form %d: the memories differ", seed, call, i)
			}
		}
	}
}

func describe(mod api.Module, call uint64) string {
	steps := mod.ExportedGlobal("steps").(api.MutableGlobal)
	steps.Set(2000)
	res, err := mod.ExportedFunction("run").Call(context.Background(), call, call*7)
	return fmt.Sprintf("%v %.40v %v", res, err, steps.Get())
}

func TestRandomModules(t *testing.T) {
	for seed := range uint64(200) {
		runRandom(t, seed)
	}
}

// FuzzRun runs random modules as they are and instrumented.
func FuzzRun(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { runRandom(t, seed) })
}
