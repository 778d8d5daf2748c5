package wasm_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// module puts sections behind the header.
func module(sections ...[]byte) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		b = append(b, s...)
	}
	return b
}

func section(id byte, body ...byte) []byte {
	return append(wasm.AppendU32([]byte{id}, uint32(len(body))), body...)
}

func custom(name string, body ...byte) []byte {
	return section(0, append(wasm.AppendName(nil, name), body...)...)
}

func TestDecodeNamesSectionAndOffset(t *testing.T) {
	typ := section(1, 1, 0x60, 0, 0)
	for _, c := range []struct {
		name string
		bin  []byte
		want string
	}{
		{"nothing", nil, "magic number"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "only core modules"},
		{"unknown section", module(section(14)), "unknown section 14"},
		{"section too long", module([]byte{1, 9}), "type section of 9 bytes"},
		{"order", module(section(3, 0), section(1, 0)), "type section out of order"},
		{"twice", module(section(1, 0), section(1, 0)), "out of order or repeated"},
		{"left over", module(section(1, 0, 0)), "type section, offset 0xb: 1 bytes left over"},
		{"vector", module(section(1, 0xff, 0xff, 0xff, 0xff, 0x0f)), "vector of 4294967295 items"},
		{"number", module(section(1, 0xff, 0xff, 0xff, 0xff, 0x1f)), "malformed unsigned"},
		{"function of no type", module(section(3, 1, 0)), "function section, offset 0xb: type 0 does not exist"},
		{"export of nothing", module(section(7, 1, 1, 'a', 0, 0)), "func 0 does not exist"},
		{"start", module(section(8, 0)), "start section, offset 0xa: function 0 does not exist"},
		{"bodies", module(typ, section(3, 1, 0)), "1 functions declared, 0 bodies"},
		{"two memories", module(section(5, 2, 0, 1, 0, 1)), "at most one"},
		{"locals", module(typ, section(3, 1, 0), section(10, 1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b)), "more than 50000 locals"},
		{"types", module(section(1, append([]byte{0xa1, 0x8d, 0x06}, bytes.Repeat([]byte{0x60, 0, 0}, 100_001)...)...)), "100001 items, at most 100000"},
		{"parameters", module(section(1, append([]byte{1, 0x60, 0xe9, 7}, make([]byte, 1002)...)...)), "1001 items, at most 1000"},
		{"functions", module(typ, section(3, append([]byte{0xc1, 0x9a, 0x0c}, make([]byte, 200_001)...)...)), "200001 items, at most 200000"},
		{"exports", module(section(7, append([]byte{0xa1, 0x8d, 0x06}, make([]byte, 300_003)...)...)), "100001 items, at most 100000"},
		{"body", module(typ, section(3, 1, 0), section(10, append([]byte{1, 0x80, 0x80, 0x80, 0x04}, make([]byte, 8<<20)...)...)), "at most 7654321"},
		{"global", module(section(6, 1, 0x7f, 0, 0x23, 5, 0x0b)), "global 5 does not exist"},
		{"text", module(section(7, 1, 2, 0xff, 0xfe, 0, 0)), "not UTF-8"},
	} {
		_, err := wasm.Decode(c.bin)
		var we *wasm.Error
		if !errors.As(err, &we) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestInstrsNamesWhatItRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		body []byte
		want string
	}{
		{"unknown", []byte{0x06, 0x0b}, "unknown instruction 0x06"},
		{"label", []byte{0x0c, 1, 0x0b}, "label 1 in 1 blocks"},
		{"else", []byte{0x05, 0x0b}, "else without if"},
		{"after the end", []byte{0x0b, 0x0b}, "1 bytes after the end"},
		{"open block", []byte{0x02, 0x40, 0x0b}, "unexpected end"},
		{"memory", []byte{0x41, 0, 0x28, 2, 0, 0x0b}, "has no memory"},
		{"local", []byte{0x20, 0, 0x0b}, "local 0 does not exist"},
		{"function", []byte{0x10, 1, 0x0b}, "function 1 does not exist"},
		{"long form of a vector instruction", []byte{0xfd, 0x8c, 0x00, 0x0b}, "unknown instruction fd"},
		{"atomic", []byte{0xfe, 0x4f, 0x0b}, "unknown instruction fe 4f"},
		{"table", []byte{0xfc, 0x10, 0, 0x0b}, "table 0 does not exist"},
	} {
		code := append([]byte{1, byte(len(c.body) + 1), 0}, c.body...)
		m, err := wasm.Decode(module(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, code...)))
		if err != nil {
			t.Fatal(c.name, err)
		}
		err = readAll(m)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "code section") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestInspection(t *testing.T) {
	names := append([]byte{0, 3, 2, 'm', 'o'}, 1, 4, 1, 0, 1, 'f')
	producers := wasm.AppendU32(nil, 1)
	producers = wasm.AppendName(producers, "language")
	producers = append(producers, 1)
	producers = wasm.AppendName(wasm.AppendName(producers, "Rust"), "2021")
	bin := module(
		section(1, 1, 0x60, 1, 0x7f, 1, 0x7e),
		section(2, append(append(wasm.AppendName(wasm.AppendName([]byte{1}, "env"), "g"), 3), 0x7c, 1)...),
		section(3, 1, 0),
		section(5, 1, 1, 2, 9),
		section(7, append(wasm.AppendName([]byte{1}, "run"), 0, 0)...),
		section(10, 1, 4, 0, 0x42, 0, 0x0b),
		custom("name", names...),
		custom("producers", producers...),
	)
	m, err := wasm.Decode(bin)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Encode(), bin) {
		t.Error("other bytes when written again")
	}
	if mem, imported, ok := m.Memory(); !ok || imported || mem.Min != 2 || mem.Max != 9 || !mem.HasMax || mem.Shared {
		t.Errorf("memory %+v %v %v", mem, imported, ok)
	}
	if e, ok := m.Export("run"); !ok || e.Kind != wasm.KindFunc || m.FuncType(e.Index).String() != "(i32) -> (i64)" {
		t.Errorf("export %+v %v", e, ok)
	}
	if i := m.Imports[0]; i.Kind != wasm.KindGlobal || i.Global != (wasm.GlobalType{Type: wasm.F64, Mutable: true}) {
		t.Errorf("import %+v", i)
	}
	if m.Name() != "mo" || len(m.FuncNames()) != 1 || m.FuncNames()[0].Name != "f" || m.FuncCount() != 1 {
		t.Errorf("names %q %v", m.Name(), m.FuncNames())
	}
	if p := m.Producers(); len(p) != 1 || p[0] != (wasm.Producer{Field: "language", Name: "Rust", Version: "2021"}) {
		t.Errorf("producers %v", p)
	}
	m.AddFuncNames([]wasm.FuncName{{Index: 7, Name: "added"}})
	if n := m.FuncNames(); len(n) != 2 || n[1].Index != 7 || n[1].Name != "added" || m.Name() != "mo" {
		t.Errorf("names %v", n)
	}
}

func TestDropDataNames(t *testing.T) {
	funcs, datas := []byte{1, 4, 1, 0, 1, 'f'}, []byte{9, 4, 1, 0, 1, 'd'}
	for _, c := range []struct{ name, want []byte }{
		{append(append([]byte(nil), funcs...), datas...), funcs},
		{append(append([]byte(nil), datas...), funcs...), funcs},
		{funcs, funcs},
		{[]byte{9, 200, 1, 0}, []byte{9, 200, 1, 0}}, // cannot be read
	} {
		m := wasm.Module{Customs: []wasm.Custom{{Name: "other", Data: datas}, {Name: "name", Data: c.name}}}
		m.DropDataNames()
		if got := m.Customs[1].Data; !bytes.Equal(got, c.want) || !bytes.Equal(m.Customs[0].Data, datas) {
			t.Errorf("%x becomes %x, want %x", c.name, got, c.want)
		}
	}
}
