package host_test

import (
	"fmt"
	"testing"

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

// TestHostileModules loads modules that are odd in size or shape: each works, or is refused with a clear error, in bounded time.
func TestHostileModules(t *testing.T) {
	const block, loop, end, empty = 0x02, 0x03, 0x0b, 0x40
	h := newHost(t, host.Config{CacheDir: "off"})
	for _, c := range []struct {
		name string
		wasm []byte
	}{
		{"30 MB of nothing", hostileModule(nil, func(m *wasm.Module) {
			m.Customs = []wasm.Custom{{Name: "padding", Data: make([]byte, 30<<20)}}
		})},
		{"30 MB of data", hostileModule(nil, func(m *wasm.Module) {
			m.Memories = []wasm.Limits{{Min: 500}}
			m.Datas = []wasm.Data{{Offset: []byte{byte(wasm.OpI32Const), 0, byte(wasm.OpEnd)}, Init: repeat(30<<20, 7)}}
		})},
		{"ten thousand exports", hostileModule(nil, func(m *wasm.Module) {
			for n := range 10_000 {
				m.Exports = append(m.Exports, wasm.Export{Name: fmt.Sprintf("f%d", n), Kind: wasm.KindFunc})
			}
		})},
		{"ten thousand functions", hostileModule(nil, func(m *wasm.Module) {
			for range 10_000 {
				m.Funcs = append(m.Funcs, 0)
				m.Codes = append(m.Codes, m.Codes[0])
			}
		})},
		{"blocks a thousand deep", hostileModule(append(repeat(1000, block, empty), repeat(1000, end)...), nil)},
		{"blocks 100,000 deep", hostileModule(append(repeat(100_000, block, empty), repeat(100_000, end)...), nil)},
		{"loops a thousand deep", hostileModule(append(repeat(1000, loop, empty), repeat(1000, end)...), nil)},
		{"loops 20,000 deep", hostileModule(append(repeat(20_000, loop, empty), repeat(20_000, end)...), nil)},
		{"a long straight body", hostileModule(repeat(500_000, 0x41, 1, 0x1a), nil)},
		{"a table of four billion", hostileModule(nil, func(m *wasm.Module) {
			m.Tables = []wasm.Table{{Type: wasm.Funcref, Limits: wasm.Limits{Min: 1<<32 - 1}}}
		})},
		{"a memory of 4 GiB", hostileModule(nil, func(m *wasm.Module) { m.Memories = []wasm.Limits{{Min: 65536}} })},
		{"a million locals", hostileModule(nil, func(m *wasm.Module) {
			m.Codes[0].Locals = []wasm.LocalGroup{{Count: 1_000_000, Type: wasm.I64}}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.Swap(t.Context(), "odd", host.Source{Wasm: c.wasm})
			if err != nil {
				e := abi.AsError(err)
				if e.Plugin != "odd" || (e.Code != abi.CodeRefused && e.Code != abi.CodeMemoryLimit) {
					t.Errorf("%s: %v", e.Code, err)
				}
				t.Log(err)
				return
			}
			if _, err := h.Run(t.Context(), abi.Call{Plugin: "odd", Function: "process"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
