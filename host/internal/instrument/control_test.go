package instrument_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall

// guest is an instance of a module with its control.
type guest struct {
	t   testing.TB
	mod api.Module
	ctl *instrument.Control
	res *instrument.Result
}

func newGuest(tb testing.TB, file string, cfg instrument.Config) *guest {
	tb.Helper()
	bin, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return instantiate(tb, bin, cfg)
}

func instantiate(tb testing.TB, bin []byte, cfg instrument.Config) *guest {
	tb.Helper()
	ctx := context.Background()
	res, err := instrument.Rewrite(bin, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
	tb.Cleanup(func() { r.Close(ctx) })
	mod, err := r.InstantiateWithConfig(ctx, res.Wasm, wazero.NewModuleConfig())
	if err != nil {
		tb.Fatal(err)
	}
	ctl, err := res.Bind(mod)
	if err != nil {
		tb.Fatal(err)
	}
	ctl.Begin(instrument.Unlimited)
	return &guest{t: tb, mod: mod, ctl: ctl, res: res}
}

func (g *guest) call(name string, args ...uint64) ([]uint64, error) {
	return g.mod.ExportedFunction(name).Call(context.Background(), args...)
}

func (g *guest) must(name string, args ...uint64) uint64 {
	g.t.Helper()
	res, err := g.call(name, args...)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	if len(res) == 0 {
		return 0
	}
	return res[0]
}

// usable checks that the instance works after a trap, once Begin was called.
func (g *guest) usable() {
	g.t.Helper()
	g.ctl.Begin(instrument.Unlimited)
	if got := g.must("sum", 100000); got != 5000050000&0xffffffff {
		g.t.Fatalf("after the trap sum gives %d", got)
	}
	if r := g.ctl.Reason(); r != instrument.ReasonNone {
		g.t.Fatalf("reason %v after a call that worked", r)
	}
}

func TestInterruptEndsEveryKindOfLoop(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	for _, c := range []struct {
		name string
		args []uint64
	}{{"spin", nil}, {"nested", []uint64{0}}, {"calls", nil}, {"fib", []uint64{60}}, {"tree", nil}, {"even", []uint64{1 << 31}},
		{"fills", nil}, {"copies", nil}, {"repeat", []uint64{1 << 31, 1000}}} {
		t.Run(c.name, func(t *testing.T) {
			g.ctl.Begin(instrument.Unlimited)
			at := make(chan time.Time, 1)
			// the first time the guest leaves to Go proves that it runs
			go func() {
				for g.ctl.Used() == 0 {
					runtime.Gosched()
				}
				at <- time.Now()
				g.ctl.Interrupt()
			}()
			_, err := g.call(c.name, c.args...)
			took := time.Since(<-at)
			if err == nil || !strings.Contains(err.Error(), "unreachable") {
				t.Fatalf("ended with %v", err)
			}
			if r := g.ctl.Reason(); r != instrument.ReasonInterrupted {
				t.Fatalf("reason %v", r)
			}
			t.Logf("ended %v after the interrupt", took)
			if took > time.Second {
				t.Errorf("took %v", took)
			}
			g.usable()
		})
	}
}

func TestInterruptBeforeTheCallEndsIt(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	g.ctl.Interrupt()
	if _, err := g.call("spin"); err == nil || g.ctl.Reason() != instrument.ReasonInterrupted {
		t.Fatalf("ended with %v, reason %v", err, g.ctl.Reason())
	}
	g.usable()
}

// TestInterruptBesideARunningGuest does what a guest may find while Interrupt writes, which is not one access under the race detector:
// whatever mixture of the bytes before and after it goes on with, the slice ends soon, and the count of ticks stays right.
func TestInterruptBesideARunningGuest(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	global := func(name string) api.MutableGlobal { return g.mod.ExportedGlobal(name).(api.MutableGlobal) }
	ticks, fuel := global(instrument.ExportTicks), global(instrument.ExportFuel)
	for _, left := range []int64{0, 1, 300, instrument.DefaultSlice, -1, -300} {
		g.ctl.Begin(instrument.Unlimited)
		ticks.Set(uint64(left))
		used := g.ctl.Used()
		g.ctl.Interrupt()
		after := ticks.Get()
		if int64(after) >= 0 {
			t.Errorf("%d: an interrupt leaves %d", left, int64(after))
		}
		for cut := 8; cut <= 56; cut += 8 {
			if mixed := int64(uint64(left)>>cut<<cut | after&(1<<cut-1)); mixed > instrument.DefaultSlice {
				t.Errorf("%d: with %d bits of %#x it is %d", left, cut, after, mixed)
			}
			if mixed := int64(after>>cut<<cut | uint64(left)&(1<<cut-1)); mixed > instrument.DefaultSlice {
				t.Errorf("%d: with all but %d bits of %#x it is %d", left, cut, after, mixed)
			}
		}
		if got := g.ctl.Used(); got != used {
			t.Errorf("%d: %d ticks are used after an interrupt, %d before", left, got, used)
		}
		fuel.Set(fuel.Get() + after) // as a guest does that looked at the flag just before
		g.mod.ExportedGlobal(instrument.ExportReason).(api.MutableGlobal).Set(uint64(instrument.ReasonFuel))
		if r := g.ctl.Reason(); left >= 0 && r != instrument.ReasonInterrupted {
			t.Errorf("%d: reason %v", left, r)
		}
		ticks.Set(instrument.DefaultSlice)
		fuel.Set(fuel.Get() - instrument.DefaultSlice)
		if got := g.ctl.Used(); got != used {
			t.Errorf("%d: %d ticks are used after an interrupt and the next slice, %d before", left, got, used)
		}
	}
}

func TestFuelEndsCallsAtTheSamePlace(t *testing.T) {
	for _, name := range []string{"spin", "fib", "tree", "fills", "copies", "calls"} {
		var first int64
		for i := range 3 {
			g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
			args := make([]uint64, len(g.mod.ExportedFunction(name).Definition().ParamTypes()))
			if len(args) > 0 {
				args[0] = 60
			}
			g.ctl.Begin(10_000_000)
			_, err := g.call(name, args...)
			if err == nil || g.ctl.Reason() != instrument.ReasonFuel {
				t.Fatalf("%s: ended with %v, reason %v", name, err, g.ctl.Reason())
			}
			if g.ctl.Remaining() != 0 {
				t.Errorf("%s: %d ticks remain", name, g.ctl.Remaining())
			}
			if used := g.ctl.Used(); i == 0 {
				first = used
			} else if used != first {
				t.Errorf("%s: %d ticks, before %d", name, used, first)
			}
			if over := g.ctl.Used() - 10_000_000; over < 0 || over > 100_000 {
				t.Errorf("%s: overdrawn by %d", name, over)
			}
			g.usable()
		}
	}
}

func TestTicksDependOnNothingButTheInput(t *testing.T) {
	run := func(slice int64) []int64 {
		g := newGuest(t, "testdata/kernels.wasm", instrument.Config{Slice: slice})
		var used []int64
		for _, k := range kernels {
			g.ctl.Begin(instrument.Unlimited)
			g.must(k.name, k.arg)
			used = append(used, g.ctl.Used())
		}
		return used
	}
	first := run(0)
	t.Log(first)
	for _, slice := range []int64{0, 1000, 1 << 24} {
		for i, n := range run(slice) {
			if n != first[i] {
				t.Errorf("slice %d: %s took %d ticks, before %d", slice, kernels[i].name, n, first[i])
			}
		}
	}
}

func TestTicksGrowWithTheWork(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	used := func(name string, args ...uint64) int64 {
		g.ctl.Begin(instrument.Unlimited)
		g.must(name, args...)
		return g.ctl.Used()
	}
	g.must("grow", 20)
	for _, c := range []struct {
		name string
		args func(n uint64) []uint64
	}{
		{"sum", func(n uint64) []uint64 { return []uint64{n} }},
		{"fill", func(n uint64) []uint64 { return []uint64{0, 1, n} }},
		{"copy", func(n uint64) []uint64 { return []uint64{0, 8, n} }},
		{"repeat", func(n uint64) []uint64 { return []uint64{n / 1000, 100} }},
	} {
		a, b := used(c.name, c.args(100_000)...), used(c.name, c.args(1_000_000)...)
		t.Log(c.name, a, b)
		if b < 8*a || b > 12*a {
			t.Errorf("%s: %d ticks, for ten times the work %d", c.name, a, b)
		}
	}
}

// TestTicksBesideABulkOperation: a length that is known when the module is rewritten, however large, neither pays for the code around
// the operation nor is paid where the operation does not run.
func TestTicksBesideABulkOperation(t *testing.T) {
	const rounds = 1000
	for _, length := range []int64{0, 16, 1025, math.MaxInt32, math.MinInt32, -1} {
		fill := wasm.AppendS64([]byte{0x41, 0, 0x41, 0, 0x41}, length)
		bin := build(slices.Concat([]byte{0x03, 0x40, 0x41, 0, 0x04, 0x40}, fill, []byte{0xfc, 11, 0, 0x0b}, // loop, if 0: memory.fill
			[]byte{0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41}, wasm.AppendS64(nil, rounds), []byte{0x49, 0x0d, 0, 0x0b}), func(m *wasm.Module) {
			m.Codes[0].Locals = []wasm.LocalGroup{{Count: 1, Type: wasm.I32}}
			m.Memories = []wasm.Limits{{Min: 1}}
			m.Exports = []wasm.Export{{Name: "count", Kind: wasm.KindFunc}}
		})
		g := instantiate(t, bin, instrument.Config{})
		g.must("count")
		if used := g.ctl.Used(); used < rounds*10 || used > rounds*40 {
			t.Errorf("%d bytes: %d ticks for %d rounds", length, used, rounds)
		}
	}
}

func TestRecursionIsBounded(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	for _, name := range []string{"forever", "mutual"} {
		overflow(t, g, name)
		g.usable()
	}
	// a depth that fits, many times: what a call took is there for the next
	if got := g.must("repeat", 1000, 5000); got != 5_000_000 {
		t.Errorf("repeat: %d", got)
	}
	if got := g.must("even", 1_000_001); got != 0 { // tail calls take nothing
		t.Errorf("even: %d", got)
	}
}

// overflow calls a function that recurses for ever. The engine would let its stack grow to 400 MB, and allocate twice as
// much on the way.
func overflow(t *testing.T, g *guest, name string) {
	t.Helper()
	var before, after runtime.MemStats
	g.ctl.Begin(instrument.Unlimited)
	runtime.ReadMemStats(&before)
	_, err := g.call(name)
	runtime.ReadMemStats(&after)
	if err == nil || g.ctl.Reason() != instrument.ReasonStack {
		t.Fatalf("%s: ended with %v, reason %v", name, err, g.ctl.Reason())
	}
	took := after.TotalAlloc - before.TotalAlloc
	t.Logf("%s: %d KB allocated", name, took>>10)
	if took > 100<<20 {
		t.Errorf("%s: %d MB allocated for the stack", name, took>>20)
	}
}

func TestRecursionWithManyValuesIsBounded(t *testing.T) {
	const n = 1000
	for name, body := range map[string][]byte{
		// a thousand values wait for the call to come back
		"operands": slices.Concat(bytes.Repeat([]byte{0x23, 0}, n), []byte{0x10, 0}, bytes.Repeat([]byte{0x24, 0}, n)),
		// a thousand calls, each with a result that waits
		"results": slices.Concat(bytes.Repeat([]byte{0x10, 1}, n), []byte{0x10, 0}, bytes.Repeat([]byte{0x24, 0}, n)),
	} {
		bin := build(body, func(m *wasm.Module) {
			m.Types = append(m.Types, wasm.FuncType{Results: []wasm.ValType{wasm.I64}})
			m.Funcs = append(m.Funcs, 1)
			m.Codes = append(m.Codes, wasm.Code{Body: []byte{0x23, 0, 0x0b}})
			m.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Type: wasm.I64, Mutable: true}, Init: []byte{0x42, 0, 0x0b}}}
			m.Exports = []wasm.Export{{Name: name, Kind: wasm.KindFunc}}
		})
		overflow(t, instantiate(t, bin, instrument.Config{}), name)
	}
}

func TestMemoryIsVirtual(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	g.must("set", 1, 2, 3)
	state := g.ctl.Save(nil)
	if state.Pages() != 1 {
		t.Fatalf("%d pages", state.Pages())
	}
	for round := range 3 {
		if got := g.must("size"); got != 1 {
			t.Fatalf("round %d: size %d", round, got)
		}
		if got := g.must("grow", 5); got != 1 {
			t.Fatalf("round %d: grow gives %d", round, got)
		}
		if got := g.must("grow", uint64(10+round)); got != 6 {
			t.Fatalf("round %d: grow gives %d", round, got)
		}
		if got := uint32(g.must("grow", 100)); got != 0xffffffff {
			t.Fatalf("round %d: grow past the maximum gives %d", round, got)
		}
		if got := uint32(g.must("grow", 0xfffffff0)); got != 0xffffffff {
			t.Fatalf("round %d: grow by far past the maximum gives %d", round, got)
		}
		if got := g.must("size"); got != uint64(16+round) || g.ctl.Pages() != uint32(got) {
			t.Fatalf("round %d: size %d, pages %d", round, got, g.ctl.Pages())
		}
		if got := g.must("grow", uint64(100-16-round)); got != uint64(16+round) {
			t.Fatalf("round %d: grow to the maximum gives %d", round, got)
		}
		g.must("set", 99, 99, 99)
		g.ctl.Restore(state)
		if _, ok := g.mod.Memory().Grow(0); !ok || g.mod.Memory().Size() != 100<<16 {
			t.Fatalf("round %d: the engine has %d bytes", round, g.mod.Memory().Size())
		}
		if got := g.must("kept"); got != 1 {
			t.Fatalf("round %d: kept %d", round, got)
		}
	}
}

func TestMemoryGrownFromOutsideIsSeen(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	state := g.ctl.Save(nil)
	g.must("grow", 3)
	g.ctl.Restore(state)
	if _, ok := g.mod.Memory().Grow(2); !ok { // behind the three hidden pages
		t.Fatal("the memory does not grow")
	}
	if got := g.must("size"); got != 3 {
		t.Errorf("size %d", got)
	}
	if got := g.must("grow", 4); got != 3 || g.must("size") != 7 {
		t.Errorf("grow gives %d, size %d", got, g.must("size"))
	}
}

func TestGarbageCollectionBesideABusyGuest(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	for _, name := range []string{"spin", "fills", "tree"} {
		g.ctl.Begin(instrument.Unlimited)
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.call(name)
		}()
		for g.ctl.Used() == 0 {
			runtime.Gosched()
		}
		t0 := time.Now()
		for range 5 {
			runtime.GC()
		}
		took := time.Since(t0) / 5
		g.ctl.Interrupt()
		<-done
		t.Logf("%s: a collection beside it took %v", name, took)
		if took > time.Second {
			t.Errorf("%s: a collection took %v", name, took)
		}
	}
}
