package instrument_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/taskhost/taskhost/host/internal/wasm"
)

// TestCompileBombs checks that small modules which would cost the engine's compiler minutes or gigabytes are refused at once, and that
// what compilers produce is far from it.
func TestCompileBombs(t *testing.T) {
	const block, loop, ifThen, end, empty, brIf, brTable, get, set, i32, drop, call = 0x02, 0x03, 0x04, 0x0b, 0x40, 0x0d, 0x0e, 0x20, 0x21, 0x41, 0x1a, 0x10
	rounds := func(n int, round func(n int) []byte) (all []byte) {
		for k := range n {
			all = append(all, round(k)...)
		}
		return all
	}
	nest := func(n int, open ...byte) []byte {
		return append(bytes.Repeat(open, n), bytes.Repeat([]byte{end}, n)...)
	}
	local := func(op byte, n int) []byte { return wasm.AppendU32([]byte{op}, uint32(n)) }
	// Each variable is set under a condition, and all are read at the end.
	variables := func(n, branches int) []byte {
		b := rounds(branches, func(k int) []byte {
			return append(append([]byte{i32, 0, ifThen, empty, i32, 1}, local(set, k%n)...), end)
		})
		return append(b, rounds(n, func(k int) []byte { return append(local(get, k), drop) })...)
	}
	locals := func(n uint32) func(m *wasm.Module) {
		return func(m *wasm.Module) { m.Codes[0].Locals = []wasm.LocalGroup{{Count: n, Type: wasm.I32}} }
	}
	copies := func(n int) func(m *wasm.Module) {
		return func(m *wasm.Module) {
			for range n - 1 {
				m.Funcs = append(m.Funcs, 0)
				m.Codes = append(m.Codes, m.Codes[0])
			}
		}
	}
	for _, c := range []struct {
		name    string
		module  []byte
		refused string
	}{
		{"blocks", build(nest(100_000, block, empty), nil), "function 0 would take too long"},
		{"blocks in a row", build(bytes.Repeat([]byte{block, empty, end}, 100_000), nil), "function 0 would take too long"},
		{"loops", build(nest(5000, loop, empty), nil), "function 0 would take too long"},
		{"loops in a row", build(bytes.Repeat([]byte{loop, empty, i32, 0, brIf, 0, end}, 10_000), nil), "function 0 would take too long"},
		{"ifs", build(nest(50_000, i32, 0, ifThen, empty), nil), "function 0 would take too long"},
		{"jump table", build(append(append([]byte{block, empty, i32, 0, brTable}, wasm.AppendU32(nil, 100_000)...), append(make([]byte, 100_001), end)...), nil),
			"function 0 would take too long"},
		{"variables", build(variables(10_000, 1000), locals(10_000)), "10000 variables"},
		{"wide calls", build(bytes.Repeat([]byte{call, 1}, 2000), func(m *wasm.Module) {
			m.Types = append(m.Types, wasm.FuncType{Results: make([]wasm.ValType, 1000)})
			for k := range m.Types[1].Results {
				m.Types[1].Results[k] = wasm.I64
			}
			m.Funcs = append(m.Funcs, 1)
			m.Codes = append(m.Codes, wasm.Code{Body: []byte{0, end}})
		}), "passes 1968000 values"},
		{"many that are large", build(nest(20_000, block, empty), copies(20)), "its 20 functions would take too long"},

		{"a few blocks", build(nest(3000, block, empty), nil), ""},
		{"a few loops", build(nest(200, loop, empty), nil), ""},
		{"a few variables", build(variables(200, 1000), locals(200)), ""},
		{"variables within a block", build(rounds(10_000, func(k int) []byte {
			return append(append(append([]byte{block, empty, i32, 1}, local(set, k)...), local(get, k)...), drop, end)
		}), locals(10_000)), ""},
	} {
		began := time.Now()
		_, err := instrument.Rewrite(c.module, instrument.Config{})
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it takes %v", c.name, took)
		}
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
		if _, err := instrument.Rewrite(c.module, instrument.Config{Work: math.MaxFloat64}); err != nil {
			t.Errorf("%s, without a bound: %v", c.name, err)
		}
	}
}
