package instrument_test

import (
	"bytes"
	"context"
	"fmt"
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
)

// build encodes a module of one function without parameters, after edit.
func build(body []byte, edit func(m *wasm.Module)) []byte {
	m := &wasm.Module{
		Types: []wasm.FuncType{{}},
		Funcs: []uint32{0},
		Codes: []wasm.Code{{Body: append(body, byte(wasm.OpEnd))}},
	}
	if edit != nil {
		edit(m)
	}
	return m.Encode()
}

func TestRewriteIsDeterministic(t *testing.T) {
	bin, err := os.ReadFile("testdata/kernels.wasm")
	if err != nil {
		t.Fatal(err)
	}
	first, err := instrument.Rewrite(bin, instrument.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := instrument.Rewrite(slices.Clone(bin), instrument.Config{})
		if err != nil || !bytes.Equal(again.Wasm, first.Wasm) {
			t.Fatalf("another module (%v)", err)
		}
	}
}

func TestReservedNamesAreRefused(t *testing.T) {
	bin := build(nil, func(m *wasm.Module) {
		m.Exports = []wasm.Export{{Name: instrument.Prefix + "x", Kind: wasm.KindFunc}}
	})
	if _, err := instrument.Rewrite(bin, instrument.Config{}); err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Fatalf("%v", err)
	}
	res, err := instrument.Rewrite(build(nil, nil), instrument.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := instrument.Rewrite(res.Wasm, instrument.Config{}); err == nil {
		t.Fatal("an instrumented module is instrumented again")
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	for want, cfg := range map[string]instrument.Config{
		"slice of -1 ticks":  {Slice: -1},
		"stack of 100 bytes": {StackBytes: 100},
		"tables of -5":       {TableElements: -5},
	} {
		if _, err := instrument.Rewrite(build(nil, nil), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestReasonsAgainstRestore(t *testing.T) {
	table := func(m *wasm.Module) {
		m.Tables = []wasm.Table{{Type: wasm.Funcref, Limits: wasm.Limits{Min: 1}}}
	}
	global := func(g wasm.GlobalType, init ...byte) func(m *wasm.Module) {
		return func(m *wasm.Module) { m.Globals = []wasm.Global{{GlobalType: g, Init: init}} }
	}
	for _, c := range []struct {
		name string
		body []byte
		edit func(m *wasm.Module)
		want string
	}{
		{"nothing", nil, nil, ""},
		{"a mutable number", nil, global(wasm.GlobalType{Type: wasm.I64, Mutable: true}, 0x42, 0, 0x0b), ""},
		{"a constant reference", nil, global(wasm.GlobalType{Type: wasm.Funcref}, 0xd0, 0x70, 0x0b), ""},
		{"a mutable reference", nil, global(wasm.GlobalType{Type: wasm.Funcref, Mutable: true}, 0xd0, 0x70, 0x0b), "type funcref"},
		{"a mutable vector", nil, global(wasm.GlobalType{Type: wasm.V128, Mutable: true},
			append(append([]byte{0xfd, 0x0c}, make([]byte, 16)...), 0x0b)...), "type v128"},
		{"table.set", []byte{0x41, 0, 0xd0, 0x70, 0x26, 0}, table, "table.set"},
		{"table.grow", []byte{0xd0, 0x70, 0x41, 0, 0xfc, 15, 0, 0x1a}, table, "table.grow"},
		{"imported memory", nil, func(m *wasm.Module) {
			m.Imports = []wasm.Import{{Module: "env", Name: "mem", Kind: wasm.KindMemory, Memory: wasm.Limits{Min: 1}}}
		}, "imports the memory env.mem"},
		{"imported mutable global", nil, func(m *wasm.Module) {
			m.Imports = []wasm.Import{{Module: "env", Name: "g", Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: wasm.I32, Mutable: true}}}
		}, "imports the mutable global env.g"},
		{"shared memory", nil, func(m *wasm.Module) {
			m.Memories = []wasm.Limits{{Min: 1, Max: 1, HasMax: true, Shared: true}}
		}, ""},
		{"data.drop", []byte{0xfc, 9, 0}, func(m *wasm.Module) {
			n := uint32(1)
			m.DataCount, m.Datas = &n, []wasm.Data{{Flags: 1}}
		}, "data.drop"},
	} {
		res, err := instrument.Rewrite(build(c.body, c.edit), instrument.Config{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.Join(res.Reasons, "; "); res.Restorable != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: restorable %v, reasons %q, want %q", c.name, res.Restorable, got, c.want)
		}
	}
}

func TestTrapsNameTheGuestsFunctions(t *testing.T) {
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	_, err := g.call("mutual")
	if err == nil || !strings.Contains(err.Error(), "ping") || !strings.Contains(err.Error(), "pong") {
		t.Errorf("%v", err)
	}
	g.ctl.Begin(1000)
	_, err = g.call("spin")
	if err == nil || !strings.Contains(err.Error(), "taskhost.tick") {
		t.Errorf("%v", err)
	}
}

func TestCustomSections(t *testing.T) {
	res, err := instrument.Rewrite(build(nil, func(m *wasm.Module) {
		for _, n := range []string{".debug_info", "producers", "sourceMappingURL", "mine", "reloc.CODE", "target_features"} {
			m.Customs = append(m.Customs, wasm.Custom{Name: n, Data: []byte{0}})
		}
	}), instrument.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode(res.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range m.Customs {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "producers mine target_features" {
		t.Errorf("kept %q", got)
	}
}

func TestStartFunctionWaitsToBeCalled(t *testing.T) {
	loop := []byte{0x03, 0x40, 0x0c, 0, 0x0b}
	start := uint32(0)
	g := instantiate(t, build(loop, func(m *wasm.Module) { m.Start = &start }), instrument.Config{})
	if !g.res.HasStart {
		t.Fatal("no start function")
	}
	g.ctl.Begin(1_000_000)
	if err := g.ctl.Start(context.Background()); err == nil || g.ctl.Reason() != instrument.ReasonFuel {
		t.Fatalf("ended with %v, reason %v", err, g.ctl.Reason())
	}
}

func TestModuleWithoutMemoryLeavesToGo(t *testing.T) {
	loop := []byte{0x03, 0x40, 0x0c, 0, 0x0b}
	g := instantiate(t, build(loop, func(m *wasm.Module) {
		m.Exports = []wasm.Export{{Name: "spin", Kind: wasm.KindFunc}}
	}), instrument.Config{})
	g.ctl.Interrupt()
	if _, err := g.call("spin"); err == nil || g.ctl.Reason() != instrument.ReasonInterrupted {
		t.Fatalf("ended with %v, reason %v", err, g.ctl.Reason())
	}
}

func TestPartsCanBeLeftOut(t *testing.T) {
	for _, cfg := range []instrument.Config{{WithoutTicks: true}, {WithoutStack: true}, {WithoutVirtualMemory: true},
		{WithoutUnrolling: true}, {WithoutTicks: true, WithoutStack: true, WithoutVirtualMemory: true}} {
		g := newGuest(t, "testdata/guest.wasm", cfg)
		if got := g.must("fib", 20); got != 6765 {
			t.Errorf("%+v: fib %d", cfg, got)
		}
		if got := g.must("grow", 3); got != 1 || g.must("size") != 4 {
			t.Errorf("%+v: grow %d, size %d", cfg, got, g.must("size"))
		}
		g.must("fill", 0, 7, 200_000)
		g.must("copy", 10, 0, 200_000)
		g.ctl.Interrupt()
	}
}

// TestBulkOperationsInPieces compares operations that are done in pieces with the original's.
func TestBulkOperationsInPieces(t *testing.T) {
	bin, err := os.ReadFile("testdata/guest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	plain := instantiatePlain(t, bin)
	g := newGuest(t, "testdata/guest.wasm", instrument.Config{})
	plain.must("grow", 50)
	g.must("grow", 50)
	const size = 51 << 16
	for _, w := range []*guest{plain, g} {
		for i := uint32(0); i < size; i += 4 {
			w.mod.Memory().WriteUint32Le(i, i*2654435761)
		}
	}
	for _, c := range []struct {
		name string
		args []uint64
	}{
		{"copy", []uint64{0, 1, 2_000_000}}, {"copy", []uint64{1, 0, 2_000_000}}, {"copy", []uint64{300_000, 5, 3_000_000}},
		{"copy", []uint64{5, 300_000, 3_000_000}}, {"copy", []uint64{7, 7, 1_000_000}}, {"fill", []uint64{11, 0xab, 1_500_000}},
		{"copy", []uint64{size - 1_000_000, 0, 1_000_000}}, {"copy", []uint64{size - 999_999, 0, 1_000_000}},
		{"copy", []uint64{0, size - 999_999, 1_000_000}}, {"fill", []uint64{size - 999_999, 1, 1_000_000}},
		{"fill", []uint64{size, 1, 0}}, {"fill", []uint64{size + 1, 1, 0}}, {"fill", []uint64{0xfffffff0, 1, 0xfffffff0}},
		{"copy", []uint64{0xfffffff0, 0, 0xfffffff0}}, {"fill", []uint64{0, 2, size}}, {"copy", []uint64{3, 1, 262_145}},
	} {
		_, errA := plain.call(c.name, c.args...)
		_, errB := g.call(c.name, c.args...)
		if (errA == nil) != (errB == nil) || errA != nil &&
			!strings.Contains(errB.Error(), "out of bounds memory access") {
			t.Errorf("%s%v: original %v, instrumented %v", c.name, c.args, errA, errB)
		}
		a, _ := plain.mod.Memory().Read(0, size)
		b, _ := g.mod.Memory().Read(0, size)
		if !bytes.Equal(a, b) {
			t.Fatalf("%s%v: the memories differ", c.name, c.args)
		}
	}
}

func instantiatePlain(t *testing.T, bin []byte) *guest {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
	t.Cleanup(func() { r.Close(ctx) })
	mod, err := r.Instantiate(ctx, bin)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{t: t, mod: mod}
}

// TestTimeIsLinear rewrites modules that are made to take long: deep nests, many exits, many calls. With 32 times as many
// it may take 32 times as long, and ten times that, for noise; a quadratic pass would take 1,000 times as long.
func TestTimeIsLinear(t *testing.T) {
	const (
		small, large = 3_000, 32 * 3_000
		most         = 10 * 32
	)
	for name, body := range longBodies {
		took := func(n, tries int) time.Duration {
			bin, best := build(body(n), nil), time.Duration(math.MaxInt64)
			for range tries {
				t0 := time.Now()
				if _, err := instrument.Rewrite(bin, instrument.Config{Work: math.MaxFloat64}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				best = min(best, time.Since(t0))
			}
			return best
		}
		few, many := took(small, 5), took(large, 2)
		t.Logf("%s: %v, %v", name, few, many)
		if many > most*few {
			t.Errorf("%s: %d take %v, %d take %v", name, small, few, large, many)
		}
	}
}

// longBodies are function bodies with n of something that a pass could be slow for.
var longBodies = map[string]func(n int) []byte{
	"blocks":           func(n int) []byte { return repeated(n, []byte{0x02, 0x40}, []byte{0x0b}) },
	"loops":            func(n int) []byte { return repeated(n, []byte{0x03, 0x40}, []byte{0x0b}) },
	"loops with calls": func(n int) []byte { return repeated(n, []byte{0x03, 0x40, 0x10, 0}, []byte{0x0b}) },
	"loops in a row":   func(n int) []byte { return repeated(n, []byte{0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0b}) },
	"br_table": func(n int) []byte {
		table := wasm.AppendU32([]byte{0x03, 0x40, 0x41, 0, 0x0e}, uint32(n))
		for i := range n + 1 {
			table = wasm.AppendU32(table, uint32(i))
		}
		return slices.Concat(repeated(n, []byte{0x02, 0x40}), append(table, 0x0b), repeated(n, []byte{0x0b}))
	},
	"exits of loops": func(n int) []byte {
		exit := append(wasm.AppendU32([]byte{0x03, 0x40, 0x41, 0, 0x0d}, uint32(n)), 0x41, 0, 0x0d, 0, 0x0b)
		return repeated(n, []byte{0x02, 0x40}, exit, []byte{0x0b})
	},
	"calls": func(n int) []byte { return repeated(n, []byte{0x10, 0}) },
	"ifs":   func(n int) []byte { return repeated(n, []byte{0x41, 0, 0x04, 0x40}, []byte{0x05, 0x0b}) },
	"loops then blocks": func(n int) []byte {
		return repeated(n, []byte{0x03, 0x40, 0x02, 0x40, 0x41, 0, 0x0d, 0}, []byte{0x0b, 0x0b})
	},
}

// repeated is n of the first part, n of the second, and so on.
func repeated(n int, parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, bytes.Repeat(p, n)...)
	}
	return b
}

// TestRewriteOnAnyNumberOfCores: what is written on several cores comes out as on one, byte for byte, errors included.
func TestRewriteOnAnyNumberOfCores(t *testing.T) {
	bin, err := os.ReadFile("../../../build/testdata/upper-go.wasm")
	if err != nil {
		t.Fatalf("%v; run make plugins first", err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for n, cfg := range []instrument.Config{{}, {WithoutTicks: true}, {WithoutStack: true}, {Work: 1000}} {
		var first *instrument.Result
		var firstErr error
		for i, cores := range []int{1, 3, 2, 8} {
			if n > 0 && i > 1 {
				break // two numbers do for the other settings
			}
			runtime.GOMAXPROCS(cores)
			res, err := instrument.Rewrite(bin, cfg)
			if i == 0 {
				first, firstErr = res, err
				continue
			}
			if err != nil || firstErr != nil {
				if fmt.Sprint(err) != fmt.Sprint(firstErr) {
					t.Errorf("%+v: on %d cores the error is %v, on one %v", cfg, cores, err, firstErr)
				}
				continue
			}
			if !bytes.Equal(res.Wasm, first.Wasm) || !slices.Equal(res.Reasons, first.Reasons) {
				t.Errorf("%+v: on %d cores the result is another one", cfg, cores)
			}
		}
	}
}

// TestDatasAreJoined checks that data segments that lie close together become one, that the memory is the same, and that what
// cannot be joined stays as it is.
func TestDatasAreJoined(t *testing.T) {
	active := func(at int64, init string) wasm.Data {
		return wasm.Data{Offset: append(wasm.AppendS64([]byte{byte(wasm.OpI32Const)}, at), byte(wasm.OpEnd)), Init: []byte(init)}
	}
	global := wasm.Data{Offset: []byte{byte(wasm.OpGlobalGet), 0, byte(wasm.OpEnd)}, Init: []byte("x")}
	for _, c := range []struct {
		name  string
		datas []wasm.Data
		want  int
		body  []byte
		edit  func(m *wasm.Module)
	}{
		{"one after the other", []wasm.Data{active(8, "abc"), active(11, "def"), active(20, "g")}, 1, nil, nil},
		{"out of order", []wasm.Data{active(300, "last"), active(8, "first"), active(13, "")}, 2, nil, nil},
		{"at the gap's limit", []wasm.Data{active(0, "a"), active(257, "b"), active(515, "c")}, 2, nil, nil},
		{"overlapping", []wasm.Data{active(8, "abc"), active(9, "XY")}, 2, nil, nil},
		{"to the memory's end", []wasm.Data{active(65530, "ab"), active(65535, "c")}, 1, nil, nil},
		{"far apart", []wasm.Data{active(0, "a"), active(5000, "b")}, 2, nil, nil},
		{"by a global", []wasm.Data{active(0, "a"), global}, 2, nil, func(m *wasm.Module) {
			m.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Type: wasm.I32}, Init: []byte{byte(wasm.OpI32Const), 7, byte(wasm.OpEnd)}}}
			m.Imports = nil
		}},
		{"used by number", []wasm.Data{active(0, "a"), active(1, "b")}, 2, []byte{0xfc, 9, 1}, func(m *wasm.Module) {
			two := uint32(2)
			m.DataCount = &two
		}},
		{"counted", []wasm.Data{active(0, "a"), active(1, "b")}, 1, nil, func(m *wasm.Module) {
			two := uint32(2)
			m.DataCount = &two
		}},
		{"passive", []wasm.Data{active(0, "a"), {Flags: 1, Init: []byte("b")}}, 2, nil, nil},
		{"none", nil, 0, nil, func(m *wasm.Module) { m.DataCount = new(uint32) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin := build(c.body, func(m *wasm.Module) {
				m.Memories = []wasm.Limits{{Min: 1}}
				m.Datas = c.datas
				m.Exports = append(m.Exports, wasm.Export{Name: "memory", Kind: wasm.KindMemory})
				if c.edit != nil {
					c.edit(m)
				}
			})
			res, err := instrument.Rewrite(bin, instrument.Config{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := wasm.Decode(res.Wasm)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Datas) != c.want {
				t.Errorf("%d segments, want %d", len(m.Datas), c.want)
			}
			var memories [2][]byte
			r := wazero.NewRuntime(t.Context())
			defer r.Close(context.Background())
			for i, bin := range [][]byte{bin, res.Wasm} {
				mod, err := r.InstantiateWithConfig(t.Context(), bin, wazero.NewModuleConfig().WithName(""))
				if err != nil {
					if strings.Contains(c.name, "global") { // of the module's own, which the engine refuses in both
						continue
					}
					t.Fatal(err)
				}
				memories[i], _ = mod.Memory().Read(0, 1<<16)
			}
			if !bytes.Equal(memories[0], memories[1]) {
				t.Error("the memories differ")
			}
		})
	}
}
