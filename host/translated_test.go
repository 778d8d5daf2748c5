package host_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/host/internal/wasm"
	"github.com/taskhost/taskhost/host/internal/wasmtest"
)

// translated is a module that binaryen makes of random bytes (package wasmtest), as a plugin whose functions tell what they did to
// memory and globals.
type translated struct {
	m         *wasm.Module
	steps     uint32 // the global with the number of steps that are left
	state     uint32 // the function that logs the whole state
	functions []string
}

const (
	opRotl64  = 0x89
	opXor64   = 0x85
	opMul64   = 0x7e
	opLoad64  = 0x29
	opStore64 = 0x37
	opAdd32   = 0x6a
	opSub32   = 0x6b
	opMul32   = 0x6c
	opLtU32   = 0x49
	voidType  = 0x40
)

// number appends a constant.
func number(b []byte, n int64) []byte { return wasm.AppendS64(append(b, byte(wasm.OpI32Const)), n) }

// makeTranslated translates the bytes and adds to each exported function one that can be called by the host: it gives the function
// steps and arguments, and logs its results and the state that it leaves. The function "state" logs the state alone. The module is nil
// when it has types that nobody knows.
func makeTranslated(t testing.TB, data []byte) ([]byte, []string) {
	t.Helper()
	kernels, grow := filepath.Join(testdata(t), "kernels.wasm"), filepath.Join(testdata(t), "hostile", "grow.wasm")
	upper := filepath.Join(testdata(t), "upper-c.wasm")
	m, err := wasm.Decode(wasmtest.Module(t, data, kernels, grow, upper))
	if err != nil && wasmtest.References(data) {
		return nil, nil // a type that we do not know either
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &translated{m: m, state: uint32(m.FuncCount())}
	var ok bool
	if p.steps, ok = wasmtest.Steps(m); !ok {
		t.Fatal("the module does not count its steps")
	}
	exports := slices.Clone(m.Exports)
	p.add("state", p.logState(nil), wasm.LocalGroup{Count: 1, Type: wasm.I32}, wasm.LocalGroup{Count: 1, Type: wasm.I64})
	for _, e := range exports {
		if e.Kind == wasm.KindFunc && e.Name != wasmtest.Initializer {
			p.addCaller(e)
		}
	}
	return m.Encode(), p.functions
}

// add adds a function without parameters that returns zero.
func (p *translated) add(name string, body []byte, locals ...wasm.LocalGroup) {
	p.m.Types = append(p.m.Types, wasm.FuncType{Results: []wasm.ValType{wasm.I32}})
	p.m.Exports = append(p.m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: uint32(p.m.FuncCount())})
	p.m.Funcs = append(p.m.Funcs, uint32(len(p.m.Types)-1))
	p.m.Codes = append(p.m.Codes, wasm.Code{Locals: locals, Body: append(number(body, 0), byte(wasm.OpEnd))})
	p.functions = append(p.functions, name)
}

// log appends a call that logs the value on the stack. One that cannot be logged is dropped.
func (p *translated) log(b []byte, v wasm.ValType) []byte {
	n := uint32(0)
	for _, i := range p.m.Imports {
		if i.Kind != wasm.KindFunc {
			continue
		}
		if i.Module == wasmtest.Log && i.Name == "log-"+v.String() {
			return wasm.AppendU32(append(b, byte(wasm.OpCall)), n)
		}
		n++
	}
	return append(b, byte(wasm.OpDrop))
}

// logState logs the mutable globals, the size of the memory and a digest of its content. Local 0 is an address, local 1 the digest.
func (p *translated) logState(b []byte) []byte {
	for i, g := range p.m.Globals {
		if g.Mutable {
			b = wasm.AppendU32(append(b, byte(wasm.OpGlobalGet)), uint32(p.m.ImportCount(wasm.KindGlobal)+i))
			b = p.log(b, g.Type)
		}
	}
	size := []byte{byte(wasm.OpMemorySize), 0}
	b = p.log(append(b, size...), wasm.I32)
	b = append(b, byte(wasm.OpLoop), voidType, byte(wasm.OpLocalGet), 1, byte(wasm.OpI64Const), 5, opRotl64)
	b = append(b, byte(wasm.OpLocalGet), 0, opLoad64, 0, 0, opXor64, byte(wasm.OpI64Const))
	b = append(wasm.AppendS64(b, 0x9e3779b97f4a7c1), opMul64, byte(wasm.OpLocalSet), 1)
	b = append(number(append(b, byte(wasm.OpLocalGet), 0), 8), opAdd32, byte(wasm.OpLocalTee), 0)
	b = append(number(append(b, size...), 1<<16), opMul32, opLtU32, byte(wasm.OpBrIf), 0, byte(wasm.OpEnd))
	return p.log(append(b, byte(wasm.OpLocalGet), 1), wasm.I64)
}

// addCaller adds the function that calls an exported one. Every other one grows the memory first.
func (p *translated) addCaller(e wasm.Export) {
	typ := p.m.FuncType(e.Index)
	b := wasm.AppendU32(append(number(nil, 50), byte(wasm.OpGlobalSet)), p.steps)
	if len(p.functions)%2 == 0 {
		b = append(number(b, 1), byte(wasm.OpMemoryGrow), 0, byte(wasm.OpDrop))
	}
	for i, v := range typ.Params {
		n := byte(i + len(p.functions))
		switch v {
		case wasm.I32:
			b = append(b, byte(wasm.OpI32Const), n&63)
		case wasm.I64:
			b = append(b, byte(wasm.OpI64Const), n&63)
		case wasm.F32:
			b = append(b, byte(wasm.OpF32Const), 0, 0, n, 0x40)
		case wasm.F64:
			b = append(b, byte(wasm.OpF64Const), 0, 0, 0, 0, 0, 0, n, 0x40)
		case wasm.V128:
			b = append(append(b, 0xfd, 12), make([]byte, 16)...)
		default:
			b = append(b, byte(wasm.OpRefNull), v.Code)
		}
	}
	b = wasm.AppendU32(append(b, byte(wasm.OpCall)), e.Index)
	for _, v := range slices.Backward(typ.Results) {
		b = p.log(b, v)
	}
	b = append(wasm.AppendU32(append(b, byte(wasm.OpCall)), p.state), byte(wasm.OpDrop))
	b = append(number(append(b, byte(wasm.OpMemorySize), 0), 1<<16), opMul32) // leave something in the last page
	b = append(append(number(b, 8), opSub32), byte(wasm.OpI64Const), 1, opStore64, 0, 0)
	p.add("call "+e.Name, b)
}

// compareTranslated calls the functions of a translated module in random order, in a sandbox that is put back and in fresh ones. It tells
// whether the module can be put back.
func compareTranslated(t testing.TB, on sides, data []byte) bool {
	t.Helper()
	module, functions := makeTranslated(t, data)
	if module == nil {
		return false
	}
	manifest := abi.Manifest{Wasm: []abi.ManifestWasm{{Name: wasmtest.Log, Data: guest(t, "digest")}, {Name: "main", Data: module}}}
	if err := on.swap(t, "translated", 0, &manifest); err != nil {
		if wasmtest.References(data) && abi.CodeOf(err) == abi.CodeRefused {
			return false
		}
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(uint64(len(data)), 4))
	for range 2 * min(len(functions), 40) {
		call := abi.Call{Plugin: "translated", Function: functions[random.IntN(len(functions))], Input: data[:random.IntN(len(data)+1)]}
		if random.IntN(3) == 0 {
			call.Function = "state"
		}
		pristine, fresh := on.call(t, call, true)
		// A page that an earlier call grew is hidden from the next, and zero, but exists: what lies past the end need not trap.
		if pristine != fresh && !strings.Contains(fresh, "out of bounds memory access") {
			t.Fatalf("%s with %d bytes: pristine gives %.200s, fresh %.200s", call.Function, len(call.Input), pristine, fresh)
		}
	}
	return strings.Contains(info(t, on.pristine, "translated").Sandbox, "put back after")
}

// TestTranslatedPlugins compares, for modules that binaryen makes of random bytes, calls in a sandbox that is put back with calls in fresh
// ones: what they log, the memory and the globals that they leave, traps and ticks.
func TestTranslatedPlugins(t *testing.T) {
	const seeds = 40
	on := newSides(t, host.Config{})
	putBack := 0
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if compareTranslated(t, on, wasmtest.Restorable(wasmtest.Bytes(seed))) {
				putBack++
			}
		})
	}
	if t.Logf("%d of %d are put back", putBack, seeds); putBack < seeds/2 {
		t.Errorf("%d of %d modules are put back", putBack, seeds)
	}
}

// FuzzTranslatedPlugins is the same for bytes of the fuzzer's choice.
func FuzzTranslatedPlugins(f *testing.F) {
	on := newSides(f, host.Config{CacheDir: "off"})
	for seed := range uint64(4) {
		f.Add(wasmtest.Restorable(wasmtest.Bytes(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compareTranslated(t, on, data) })
}
