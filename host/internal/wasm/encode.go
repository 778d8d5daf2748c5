package wasm

import "math"

// Encode writes the module. Numbers are written in their shortest form, so bytes may differ from those the module was
// read from; the meaning does not.
func (m *Module) Encode() []byte {
	e := &encoder{m: m, out: make([]byte, 0, m.sizeHint())}
	e.out = append(e.out, header...)
	for _, id := range []byte{idType, idImport, idFunction, idTable, idMemory, idTag, idGlobal, idExport, idStart,
		idElement, idDataCount, idCode, idData} {
		for i := range m.Customs {
			if m.Customs[i].Before == id {
				e.custom(&m.Customs[i])
			}
		}
		e.section(id)
	}
	for i := range m.Customs {
		if m.Customs[i].Before == 0 {
			e.custom(&m.Customs[i])
		}
	}
	return e.out
}

func (m *Module) sizeHint() int {
	n := 4096
	for i := range m.Codes {
		n += len(m.Codes[i].Body) + 16
	}
	for i := range m.Datas {
		n += len(m.Datas[i].Init) + 16
	}
	for i := range m.Customs {
		n += len(m.Customs[i].Data) + 32
	}
	return n
}

type encoder struct {
	m   *Module
	out []byte
	buf []byte // the body of the section under way
}

func (e *encoder) custom(c *Custom) {
	b := AppendName(e.buf[:0], c.Name)
	e.flush(idCustom, append(b, c.Data...))
}

func (e *encoder) flush(id byte, body []byte) {
	e.out = append(e.out, id)
	e.out = AppendU32(e.out, uint32(len(body)))
	e.out = append(e.out, body...)
	e.buf = body
}

func (e *encoder) section(id byte) {
	b := e.buf[:0]
	m := e.m
	n := 0
	switch id {
	case idType:
		n, b = e.types(b)
	case idImport:
		n = len(m.Imports)
		b = AppendU32(b, uint32(n))
		for i := range m.Imports {
			b = appendImport(b, &m.Imports[i])
		}
	case idFunction:
		n = len(m.Funcs)
		b = AppendU32(b, uint32(n))
		for _, t := range m.Funcs {
			b = AppendU32(b, t)
		}
	case idTable:
		n = len(m.Tables)
		b = AppendU32(b, uint32(n))
		for i := range m.Tables {
			b = appendTable(b, &m.Tables[i])
		}
	case idMemory:
		n = len(m.Memories)
		b = AppendU32(b, uint32(n))
		for _, l := range m.Memories {
			b = appendLimits(b, l)
		}
	case idTag:
		n = len(m.Tags)
		b = AppendU32(b, uint32(n))
		for _, t := range m.Tags {
			b = AppendU32(append(b, 0), t)
		}
	case idGlobal:
		n = len(m.Globals)
		b = AppendU32(b, uint32(n))
		for i := range m.Globals {
			b = appendGlobalType(b, m.Globals[i].GlobalType)
			b = append(b, m.Globals[i].Init...)
		}
	case idExport:
		n = len(m.Exports)
		b = AppendU32(b, uint32(n))
		for _, x := range m.Exports {
			b = AppendU32(append(AppendName(b, x.Name), byte(x.Kind)), x.Index)
		}
	case idStart:
		if m.Start != nil {
			n = 1
			b = AppendU32(b, *m.Start)
		}
	case idElement:
		n = len(m.Elements)
		b = AppendU32(b, uint32(n))
		for i := range m.Elements {
			b = appendElement(b, &m.Elements[i])
		}
	case idDataCount:
		if m.DataCount != nil {
			n = 1
			b = AppendU32(b, *m.DataCount)
		}
	case idCode:
		n = len(m.Codes)
		b = e.codes(b)
	case idData:
		n = len(m.Datas)
		b = AppendU32(b, uint32(n))
		for i := range m.Datas {
			b = appendData(b, &m.Datas[i])
		}
	}
	if n > 0 {
		e.flush(id, b)
	}
}

// types writes the type section; a recursion group is one entry of it.
func (e *encoder) types(b []byte) (int, []byte) {
	ts := e.m.Types
	n := 0
	for i := range ts {
		if ts[i].RecPos == 0 {
			n++
		}
	}
	b = AppendU32(b, uint32(n))
	for i := range ts {
		if ts[i].RecSize > 0 && ts[i].RecPos == 0 {
			b = AppendU32(append(b, 0x4e), uint32(ts[i].RecSize))
		}
		b = append(b, 0x60)
		b = appendValTypes(b, ts[i].Params)
		b = appendValTypes(b, ts[i].Results)
	}
	return n, b
}

func (e *encoder) codes(b []byte) []byte {
	b = AppendU32(b, uint32(len(e.m.Codes)))
	var head []byte
	for i := range e.m.Codes {
		c := &e.m.Codes[i]
		head = AppendU32(head[:0], uint32(len(c.Locals)))
		for _, g := range c.Locals {
			head = AppendValType(AppendU32(head, g.Count), g.Type)
		}
		b = AppendU32(b, uint32(len(head)+len(c.Body)))
		b = append(append(b, head...), c.Body...)
	}
	return b
}

func appendImport(b []byte, imp *Import) []byte {
	b = AppendName(AppendName(b, imp.Module), imp.Name)
	b = append(b, byte(imp.Kind))
	switch imp.Kind {
	case KindFunc:
		b = AppendU32(b, imp.TypeIndex)
	case KindTable:
		b = appendTable(b, &imp.Table)
	case KindMemory:
		b = appendLimits(b, imp.Memory)
	case KindGlobal:
		b = appendGlobalType(b, imp.Global)
	case KindTag:
		b = AppendU32(append(b, 0), imp.TypeIndex)
	}
	return b
}

func appendTable(b []byte, t *Table) []byte {
	if t.Init != nil {
		b = append(b, 0x40, 0)
	}
	b = appendLimits(AppendValType(b, t.Type), t.Limits)
	return append(b, t.Init...)
}

func appendLimits(b []byte, l Limits) []byte {
	f := byte(0)
	if l.HasMax {
		f |= 1
	}
	if l.Shared {
		f |= 2
	}
	b = AppendU32(append(b, f), l.Min)
	if l.HasMax {
		b = AppendU32(b, l.Max)
	}
	return b
}

func appendGlobalType(b []byte, t GlobalType) []byte {
	b = AppendValType(b, t.Type)
	if t.Mutable {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendElement(b []byte, s *Element) []byte {
	b = AppendU32(b, s.Flags)
	if s.Mode() == Active {
		if s.Flags&2 != 0 {
			b = AppendU32(b, s.Table)
		}
		b = append(b, s.Offset...)
	}
	if s.Flags&3 != 0 {
		if s.UsesExprs {
			b = AppendValType(b, s.Type)
		} else {
			b = append(b, 0)
		}
	}
	if s.UsesExprs {
		b = AppendU32(b, uint32(len(s.Exprs)))
		for _, x := range s.Exprs {
			b = append(b, x...)
		}
		return b
	}
	b = AppendU32(b, uint32(len(s.Funcs)))
	for _, f := range s.Funcs {
		b = AppendU32(b, f)
	}
	return b
}

func appendData(b []byte, s *Data) []byte {
	b = AppendU32(b, s.Flags)
	if s.Flags == 2 {
		b = append(b, 0)
	}
	b = append(b, s.Offset...)
	b = AppendU32(b, uint32(len(s.Init)))
	return append(b, s.Init...)
}

func appendValTypes(b []byte, ts []ValType) []byte {
	b = AppendU32(b, uint32(len(ts)))
	for _, t := range ts {
		b = AppendValType(b, t)
	}
	return b
}

// AppendValType appends a value type.
func AppendValType(b []byte, t ValType) []byte {
	b = append(b, t.Code)
	if t.Code == CodeRef || t.Code == CodeRefNull {
		b = AppendS64(b, t.Heap)
	}
	return b
}

// AppendName appends a string with its length.
func AppendName(b []byte, s string) []byte {
	return append(AppendU32(b, uint32(min(len(s), math.MaxUint32))), s...)
}

// AppendU32 appends an unsigned number in its shortest form.
func AppendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendS64 appends a signed number in its shortest form; it serves 32, 33 and 64 bits alike.
func AppendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
