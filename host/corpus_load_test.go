package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// hostileModule is a module with one function process whose body is given, with what change adds.
func hostileModule(body []byte, change func(m *wasm.Module)) []byte {
	m := wasm.Module{
		Types:   []wasm.FuncType{{Results: []wasm.ValType{wasm.I32}}},
		Funcs:   []uint32{0},
		Exports: []wasm.Export{{Name: "process", Kind: wasm.KindFunc}},
		Codes:   []wasm.Code{{Body: append(body, byte(wasm.OpI32Const), 0, byte(wasm.OpEnd))}},
	}
	if change != nil {
		change(&m)
	}
	return m.Encode()
}

func repeat(n int, b ...byte) (all []byte) {
	for range n {
		all = append(all, b...)
	}
	return all
}

// The instructions that the modules below are made of.
const (
	opBlock, opLoop, opIf, opTryTable, opEnd, opBr, opBrIf, opBrTable = 0x02, 0x03, 0x04, 0x1f, 0x0b, 0x0c, 0x0d, 0x0e
	opCall, opDrop, opGet, opSet, opI32, opI64, opEmpty, opCatchAll   = 0x10, 0x1a, 0x20, 0x21, 0x41, 0x42, 0x40, 2
)

// catchingModule has functions that catch all exceptions around what ends them, for ever: a loop, a call that logs, one that exits.
func catchingModule() []byte {
	// block { try_table (catch_all to the block) { WHAT } }, again and again
	around := func(what ...byte) []byte {
		return slices.Concat([]byte{opLoop, opEmpty, opBlock, opEmpty, opTryTable, opEmpty, 1, opCatchAll, 0}, what,
			[]byte{opEnd, opEnd, opBr, 0, opEnd, opI32, 0, opEnd})
	}
	return hostileModule(nil, func(m *wasm.Module) {
		m.Types = append(m.Types, wasm.FuncType{Params: []wasm.ValType{wasm.I64}, Results: []wasm.ValType{wasm.I64}},
			wasm.FuncType{Params: []wasm.ValType{wasm.I64}}, wasm.FuncType{Params: []wasm.ValType{wasm.I32}})
		for n, f := range []string{"alloc", "log_info"} {
			m.Imports = append(m.Imports, wasm.Import{Module: abi.ModuleEnv, Name: f, Kind: wasm.KindFunc, TypeIndex: uint32(n + 1)})
		}
		m.Imports = append(m.Imports, wasm.Import{Module: abi.ModuleWASI, Name: "proc_exit", Kind: wasm.KindFunc, TypeIndex: 3})
		m.Memories = []wasm.Limits{{Min: 1}}
		m.Funcs = []uint32{0, 0, 0, 0}
		m.Codes = []wasm.Code{
			{Body: []byte{opI32, 0, opEnd}},
			{Body: around(opLoop, opEmpty, opBr, 0, opEnd)},
			{Body: around(opI64, 0xe8, 7, opCall, 0, opCall, 1)},
			{Body: around(opI32, 7, opCall, 2)},
		}
		m.Exports = []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}}
		for n, name := range []string{"fine", "spin", "log", "exit"} {
			m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: uint32(3 + n)})
		}
	})
}

// framesModule recurses through a function of 400 parameters: frames of several KiB.
func framesModule() []byte {
	const params = 400
	var all, zeros []byte
	for n := range uint32(params) {
		all = wasm.AppendU32(append(all, opGet), n)
		zeros = append(zeros, opI64, 0)
	}
	return hostileModule(nil, func(m *wasm.Module) {
		wide := wasm.FuncType{Params: make([]wasm.ValType, params), Results: []wasm.ValType{wasm.I64}}
		for n := range wide.Params {
			wide.Params[n] = wasm.I64
		}
		m.Types = append(m.Types, wide)
		m.Funcs = []uint32{0, 0, 1}
		m.Codes = []wasm.Code{
			{Body: []byte{opI32, 0, opEnd}},
			{Body: slices.Concat(zeros, []byte{opCall, 2, opDrop, opI32, 0, opEnd})},
			{Body: slices.Concat(all, []byte{opCall, 2, opGet, 0, 0x7c, opEnd})}, // plus its first parameter, so that it is no tail call
		}
		m.Exports = []wasm.Export{{Name: "fine", Kind: wasm.KindFunc}, {Name: "recurse", Kind: wasm.KindFunc, Index: 1}}
	})
}

// variablesModule sets each of so many variables under a condition and reads all of them in the end: the engine takes the product.
func variablesModule(variables, branches int, around byte) []byte {
	var body []byte
	for n := range branches {
		body = append(body, opI32, 0)
		if around == opLoop {
			body = body[:len(body)-2]
		}
		body = append(body, around, opEmpty, opI32, 1)
		body = append(wasm.AppendU32(append(body, opSet), uint32(n%variables)), opEnd)
	}
	for n := range uint32(variables) {
		body = append(wasm.AppendU32(append(body, opGet), n), opDrop)
	}
	return hostileModule(body, func(m *wasm.Module) {
		m.Codes[0].Locals = []wasm.LocalGroup{{Count: uint32(variables), Type: wasm.I32}}
	})
}

// loads is the code of modules that are odd and yet load, within seconds, and work.
const loads abi.Code = ""

// TestHostileModules loads what is hostile already while it is loaded. Each is refused with its own error, or works, in bounded time and
// memory; another plugin goes on working, and the process is back to where it was.
func TestHostileModules(t *testing.T) {
	h := newHost(t, host.Config{CacheDir: "off", Logger: discard(), IdleTimeout: 4 * time.Millisecond})
	swap(t, h, "spin", "")
	many := func(n int, change func(m *wasm.Module, n int)) []byte {
		return hostileModule(nil, func(m *wasm.Module) {
			for k := range n {
				change(m, k)
			}
		})
	}
	addFunction := func(m *wasm.Module, _ int) {
		m.Funcs = append(m.Funcs, 0)
		m.Codes = append(m.Codes, m.Codes[0])
	}
	addExport := func(m *wasm.Module, n int) {
		m.Exports = append(m.Exports, wasm.Export{Name: fmt.Sprintf("f%d", n), Kind: wasm.KindFunc})
	}
	nested := func(n int, op ...byte) []byte {
		return hostileModule(append(repeat(n, op...), repeat(n, opEnd)...), nil)
	}
	for _, c := range []struct {
		name     string
		wasm     []byte
		manifest string
		code     abi.Code
		says     []string
	}{
		// What runs before the first call.
		{"start-loops", broken(t, "start-loops"), `{"timeout_ms": 50}`, abi.CodeTimeout, []string{"while it starts", "limit of 50ms", "raise timeout_ms"}},
		{"init-loops", broken(t, "init-loops"), `{"timeout_ms": 50}`, abi.CodeTimeout, []string{"while it starts", "raise timeout_ms"}},
		{"ctors-loop", broken(t, "ctors-loop"), `{"timeout_ms": 50}`, abi.CodeTimeout, []string{"while it starts", "raise timeout_ms"}},
		{"init-sleeps", broken(t, "init-sleeps"), `{"timeout_ms": 50}`, abi.CodeTimeout, []string{"while it starts", "raise timeout_ms"}},
		{"init-logs", broken(t, "init-logs"), "", abi.CodeLogLimit, []string{"while it starts", "raise taskhost.max_log_bytes"}},
		{"start-recurses", broken(t, "start-recurses"), "", abi.CodeStackLimit, []string{"while it starts", "raise taskhost.max_stack_bytes"}},
		{"start-grows", broken(t, "start-grows"), `{"memory": {"max_pages": 512}}`, abi.CodeMemoryLimit, []string{"while it starts", "raise memory.max_pages"}},
		{"big-memory", broken(t, "big-memory"), "", abi.CodeMemoryLimit, []string{"2147483648 bytes of memory to start", "raise memory.max_pages"}},

		// Size.
		{"65 MiB", hostileModule(nil, func(m *wasm.Module) {
			m.Customs = []wasm.Custom{{Name: "padding", Data: make([]byte, 65<<20)}}
		}), "", abi.CodeModuleLimit, []string{"limit of 67108864", "raise Limits.Module"}},
		{"30 MB of nothing", hostileModule(nil, func(m *wasm.Module) {
			m.Customs = []wasm.Custom{{Name: "padding", Data: make([]byte, 30<<20)}}
		}), "", loads, nil},
		{"30 MB of data", hostileModule(nil, func(m *wasm.Module) {
			m.Memories = []wasm.Limits{{Min: 500}}
			m.Datas = []wasm.Data{{Offset: []byte{opI32, 0, opEnd}, Init: repeat(30<<20, 7)}}
		}), "", loads, nil},
		{"a function of 10 MB", hostileModule(repeat(3_500_000, opI32, 1, opDrop), nil), "", abi.CodeRefused, []string{"body of 10500004 bytes"}},
		{"a memory of 4 GiB", hostileModule(nil, func(m *wasm.Module) { m.Memories = []wasm.Limits{{Min: 65536}} }), "",
			abi.CodeMemoryLimit, []string{"4294967296 bytes of memory to start", "raise memory.max_pages"}},
		{"a table of four billion", hostileModule(nil, func(m *wasm.Module) {
			m.Tables = []wasm.Table{{Type: wasm.Funcref, Limits: wasm.Limits{Min: 1<<32 - 1}}}
		}), "", abi.CodeRefused, []string{"4294967295 elements", "1048576 are allowed"}},

		// Numbers.
		{"ten thousand exports", many(10_000, addExport), "", loads, nil},
		{"a million exports", many(1_000_000, addExport), "", abi.CodeRefused, []string{"export section", "at most 100000"}},
		{"ten thousand functions", many(10_000, addFunction), "", loads, nil},
		{"a million functions", many(1_000_000, addFunction), "", abi.CodeRefused, []string{"function section", "at most 200000"}},
		{"a million globals", many(1_000_000, func(m *wasm.Module, _ int) {
			m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: wasm.I32, Mutable: true}, Init: []byte{opI32, 0, opEnd}})
		}), "", abi.CodeRefused, []string{"global section", "at most 100000"}},
		{"a million locals", hostileModule(nil, func(m *wasm.Module) {
			m.Codes[0].Locals = []wasm.LocalGroup{{Count: 1_000_000, Type: wasm.I64}}
		}), "", abi.CodeRefused, []string{"more than 50000 locals"}},
		{"an export of a megabyte", many(2, func(m *wasm.Module, _ int) {
			m.Imports = []wasm.Import{{Module: strings.Repeat("m", 1<<20), Name: strings.Repeat("n", 1<<20), Kind: wasm.KindFunc}}
		}), "", abi.CodeRefused, []string{"it imports", "nnnn"}},

		// What is little to write and much to compile.
		{"blocks a thousand deep", nested(1000, opBlock, opEmpty), "", loads, nil},
		{"blocks 100,000 deep", nested(100_000, opBlock, opEmpty), "", abi.CodeRefused, []string{"compiling function 0 would take too long"}},
		{"loops 300 deep", nested(300, opLoop, opEmpty), "", loads, nil},
		{"loops 20,000 deep", nested(20_000, opLoop, opEmpty), "", abi.CodeRefused, []string{"compiling function 0 would take too long"}},
		{"ifs 30,000 deep", nested(30_000, opI32, 0, opIf, opEmpty), "", abi.CodeRefused, []string{"compiling function 0 would take too long"}},
		{"a long straight body", hostileModule(repeat(500_000, opI32, 1, opDrop), nil), "", loads, nil},
		{"a jump table of a million", hostileModule(slices.Concat([]byte{opBlock, opEmpty, opI32, 0, opBrTable}, wasm.AppendU32(nil, 1_000_000),
			make([]byte, 1_000_001), []byte{opEnd}), nil), "", abi.CodeRefused, []string{"compiling function 0 would take too long"}},
		{"300 variables in 300 branches", variablesModule(300, 300, opIf), "", loads, nil},
		{"10,000 variables in 1,000 branches", variablesModule(10_000, 1000, opIf), "", abi.CodeRefused, []string{"10000 variables"}},
		{"1,000 variables in 1,000 loops", variablesModule(1000, 1000, opLoop), "", abi.CodeRefused, []string{"1000 variables"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := measure(t)
			began := time.Now()
			src := host.Source{Wasm: c.wasm}
			if c.manifest != "" {
				src.Manifest = manifest(t, c.manifest)
			}
			_, err := h.Swap(t.Context(), "odd", src)
			wantCode(t, err, c.code, c.says...)
			if c.code == loads {
				if _, err := h.Run(t.Context(), abi.Call{Plugin: "odd", Function: "process"}, nil); err != nil {
					t.Error(err)
				}
				_, err = h.Run(t.Context(), abi.Call{Plugin: "odd", Function: "missing"}, nil)
				wantCode(t, err, abi.CodeNotFound, "it has no function missing")
			} else if !strings.HasPrefix(err.Error(), "plugin odd: ") {
				t.Errorf("the error does not name the plugin: %.200v", err)
			}
			if err != nil && (len(err.Error()) > 5000 || strings.Contains(err.Error(), "\n")) {
				t.Errorf("the error has %d bytes: %.200v", len(err.Error()), err)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("it took %v", took)
			}
			goodTask(t, h, "spin")
			if c.code != loads { // a plugin that was accepted stays in memory
				nothingRuns(t, h)
				isBack(t, before)
			}
		})
	}
}
