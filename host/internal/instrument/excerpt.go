package instrument

import (
	"slices"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// Excerpt is a rewritten module in which only some functions have their code, the same as in what [Rewrite] makes, and all others trap.
// It is soon compiled, and shows where in the original the code of those functions comes from.
type Excerpt struct {
	// Wasm is the module. It has no data and debug information just enough for the engine to keep offsets of its code.
	Wasm []byte

	origins []origin // in the order of Wasm
}

// origin is a place of Wasm and one of the original, as offsets into the code sections.
type origin struct{ out, in uint32 }

// Cut rewrites the functions with these indices, which count imports first; those that the module does not define are ignored. The config
// must be that of the Rewrite whose code is looked at.
func Cut(bin []byte, cfg Config, funcs []uint32) (*Excerpt, error) {
	cfg = cfg.withDefaults()
	m, err := wasm.Decode(bin)
	if err != nil {
		return nil, err
	}
	w, err := newRewriter(m, cfg)
	if err != nil {
		return nil, err
	}
	marks := map[int][]mark{}
	for _, f := range funcs {
		if i := int(f) - m.ImportCount(wasm.KindFunc); i >= 0 && i < len(m.Codes) {
			marks[i] = nil
		}
	}
	if err := w.cut(marks); err != nil {
		return nil, err
	}
	x := &Excerpt{Wasm: w.out.Encode()}
	out, err := wasm.Decode(x.Wasm)
	if err != nil {
		return nil, err
	}
	for i, list := range marks {
		to, from := out.Codes[i].Offset-out.CodeStart, m.Codes[i].Offset-m.CodeStart
		for _, k := range list {
			x.origins = append(x.origins, origin{uint32(to + int(k.out)), uint32(from + int(k.in))})
		}
		x.origins = append(x.origins, origin{uint32(to + len(out.Codes[i].Body)), 0}) // what follows is another function's
	}
	slices.SortStableFunc(x.origins, func(a, b origin) int { return int(a.out) - int(b.out) })
	return x, nil
}

// Origin is where the code at an offset of Wasm's code section comes from: an offset into the original's code section.
func (x *Excerpt) Origin(offset uint32) (uint32, bool) {
	n, exact := slices.BinarySearchFunc(x.origins, offset, func(o origin, at uint32) int { return int(o.out) - int(at) })
	for exact && n+1 < len(x.origins) && x.origins[n+1].out == offset { // of several at one place the last wrote the code
		n++
	}
	if !exact {
		n--
	}
	if n < 0 || x.origins[n].in == 0 {
		return 0, false
	}
	return x.origins[n].in, true
}

// cut is rewrite for the functions that are in marks, by their numbers among those that the module defines.
func (w *rewriter) cut(marks map[int][]mark) error {
	if err := w.begin(); err != nil {
		return err
	}
	m := w.out
	trap := wasm.Code{Body: []byte{byte(wasm.OpUnreachable), byte(wasm.OpEnd)}}
	for i := range m.Codes {
		m.Codes[i] = trap
	}
	for i := range marks {
		var list []mark
		e := emitter{w: w, marks: &list}
		if err := e.own.load(w.in, i); err != nil {
			return err
		}
		m.Codes[i] = e.function(i)
		marks[i] = list
	}
	if m.Start != nil {
		m.Start = nil
		w.helper(helpStart)
	}
	w.addHelpers()
	m.Datas = slices.Clone(m.Datas)
	for i := range m.Datas {
		m.Datas[i].Init = nil
	}
	m.Customs = lineSections()
	return nil
}

// lineSections are debug information for the engine, which keeps offsets of code only of modules that have some: a compilation unit
// without anything in it.
func lineSections() []wasm.Custom {
	const tagCompileUnit = 0x11
	abbrev := []byte{1, tagCompileUnit, 0, 0, 0, 0} // number 1, without children and without attributes
	info := []byte{8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1}
	return []wasm.Custom{{Name: ".debug_abbrev", Data: abbrev}, {Name: ".debug_info", Data: info}}
}
