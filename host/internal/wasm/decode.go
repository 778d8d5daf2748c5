package wasm

import "fmt"

// The ids of sections.
const (
	idCustom    = 0
	idType      = 1
	idImport    = 2
	idFunction  = 3
	idTable     = 4
	idMemory    = 5
	idGlobal    = 6
	idExport    = 7
	idStart     = 8
	idElement   = 9
	idCode      = 10
	idData      = 11
	idDataCount = 12
	idTag       = 13
)

// sectionNames are the names of sections by id; sectionRank is the place of each in the order of a module.
var (
	sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start",
		"element", "code", "data", "data count", "tag"}
	sectionRank = [...]int{idType: 1, idImport: 2, idFunction: 3, idTable: 4, idMemory: 5, idTag: 6, idGlobal: 7,
		idExport: 8, idStart: 9, idElement: 10, idDataCount: 11, idCode: 12, idData: 13}
)

// What a module may have. Engines take time and memory for each of these, more than the binary has bytes. The numbers are those of the
// WebAssembly JavaScript interface, which browsers hold to, or a part of them where wazero takes more time than browsers do.
const (
	maxTypes    = 100_000
	maxImports  = 100_000
	maxFuncs    = 200_000
	maxTables   = 100_000
	maxGlobals  = 100_000
	maxExports  = 100_000
	maxSegments = 100_000 // of data, and of elements
	maxParams   = 1000    // and results
	maxLocals   = 50_000
	maxBody     = 7_654_321 // bytes of one function
)

const header = "\x00asm\x01\x00\x00\x00"

// Decode reads a module. The result shares memory with bin.
func Decode(bin []byte) (*Module, error) {
	m, _, err := Survey(bin)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Section is a section of a binary: what is said of it, whether it can be read or not.
type Section struct {
	Name   string // of a custom section, its own; else that of the specification
	Custom bool
	Size   int // bytes of its content
}

// Survey is Decode for somebody who wants to know what is in a binary also if it is no valid module: beside the error there are the
// sections up to the one that cannot be read, and a module with what is in those before it. Nothing but the checks that take the whole
// module is left out for it: it may have fewer bodies than functions, and refer to functions, types and globals that it has not.
func Survey(bin []byte) (*Module, []Section, error) {
	d := &decoder{m: &Module{}}
	if len(bin) < len(header) || string(bin[:4]) != header[:4] {
		return d.m, nil, &Error{Msg: "not a WebAssembly module: magic number missing"}
	}
	if string(bin[4:8]) != header[4:] {
		return d.m, nil, &Error{Offset: 4, Msg: fmt.Sprintf("version % x: only core modules of version 1 are understood", bin[4:8])}
	}
	r := &reader{b: bin, i: len(header), end: len(bin)}
	rank := 0
	for r.more() {
		at := r.i
		id := r.byte()
		if int(id) >= len(sectionNames) {
			r.fail(at, "unknown section %d", id)
			break
		}
		n := r.u32()
		if r.err == nil {
			d.sections = append(d.sections, Section{Name: sectionNames[id], Custom: id == idCustom, Size: int(n)})
		}
		if int64(n) > int64(r.left()) {
			r.fail(at, "%s section of %d bytes, %d left", sectionNames[id], n, r.left())
			break
		}
		if id != idCustom {
			if sectionRank[id] <= rank {
				r.fail(at, "%s section out of order or repeated", sectionNames[id])
				break
			}
			rank = sectionRank[id]
			for k := d.open; k < len(d.m.Customs); k++ {
				d.m.Customs[k].Before = id
			}
			d.open = len(d.m.Customs)
		}
		s := &reader{b: bin, i: r.i, end: r.i + int(n), section: sectionNames[id], need: &d.need}
		whole := *d.m
		d.section(s, id)
		if s.err == nil && s.i != s.end {
			s.fail(s.i, "%d bytes left over", s.left())
		}
		if s.err != nil {
			return &whole, d.sections, s.err
		}
		if id == idCustom {
			d.sections[len(d.sections)-1].Name = d.m.Customs[len(d.m.Customs)-1].Name
		}
		r.i += int(n)
	}
	if r.err != nil {
		return d.m, d.sections, r.err
	}
	return d.m, d.sections, d.finish(len(bin))
}

// decoder builds a module section by section. open is the first custom section that no known section followed yet.
type decoder struct {
	m        *Module
	sections []Section
	open     int
	need     needs
}

func (d *decoder) section(r *reader, id byte) {
	m := d.m
	switch id {
	case idCustom:
		name := r.name()
		m.Customs = append(m.Customs, Custom{Name: name, Data: r.bytes(r.left())})
	case idType:
		d.types(r)
	case idImport:
		for n := r.countTo(maxImports); n > 0 && r.err == nil; n-- {
			d.importItem(r)
		}
	case idFunction:
		m.Funcs = d.typeIndices(r, false)
	case idTable:
		for n := r.countTo(maxTables); n > 0 && r.err == nil; n-- {
			m.Tables = append(m.Tables, r.table())
		}
	case idMemory:
		at := r.i
		n := r.count()
		if n > 1 {
			r.fail(at, "%d memories: at most one is understood", n)
		}
		for ; n > 0 && r.err == nil; n-- {
			m.Memories = append(m.Memories, r.limits())
		}
	case idTag:
		m.Tags = d.typeIndices(r, true)
	case idGlobal:
		for n := r.countTo(maxGlobals); n > 0 && r.err == nil; n-- {
			g := Global{GlobalType: r.globalType()}
			g.Init = r.constExpr()
			m.Globals = append(m.Globals, g)
		}
	case idExport:
		d.exports(r)
	case idStart:
		at := r.i
		f := r.u32()
		if int64(f) >= int64(m.FuncCount()) {
			r.fail(at, "function %d does not exist", f)
		}
		m.Start = &f
	case idElement:
		for n := r.countTo(maxSegments); n > 0 && r.err == nil; n-- {
			d.element(r)
		}
	case idDataCount:
		n := r.u32()
		m.DataCount = &n
	case idCode:
		d.codes(r)
	case idData:
		n := r.countTo(maxSegments)
		m.Datas = make([]Data, 0, n)
		for ; n > 0 && r.err == nil; n-- {
			d.data(r)
		}
	}
}

func (d *decoder) types(r *reader) {
	for n := r.countTo(maxTypes); n > 0 && r.err == nil; n-- {
		if r.i < r.end && r.b[r.i] == 0x4e {
			at := r.i
			r.i++
			size := r.countTo(maxTypes - len(d.m.Types))
			if size == 0 && r.err == nil {
				r.fail(at, "empty recursion group") // it would vanish when written again
			}
			for p := 0; p < size && r.err == nil; p++ {
				t := d.funcType(r)
				t.RecSize, t.RecPos = size, p
				d.m.Types = append(d.m.Types, t)
			}
			continue
		}
		d.m.Types = append(d.m.Types, d.funcType(r))
	}
}

func (d *decoder) funcType(r *reader) FuncType {
	if c := r.byte(); c != 0x60 {
		r.fail(r.i-1, "type of form 0x%02x: only functions are understood", c)
	}
	return FuncType{Params: valTypes(r), Results: valTypes(r)}
}

func valTypes(r *reader) []ValType {
	n := r.countTo(maxParams)
	if n == 0 {
		return nil
	}
	ts := make([]ValType, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		ts = append(ts, r.valType())
	}
	return ts
}

func (d *decoder) importItem(r *reader) {
	m := d.m
	imp := Import{Module: r.name(), Name: r.name()}
	at := r.i
	imp.Kind = Kind(r.byte())
	switch imp.Kind {
	case KindFunc:
		imp.TypeIndex = d.typeIndex(r)
	case KindTable:
		imp.Table = r.table()
	case KindMemory:
		imp.Memory = r.limits()
	case KindGlobal:
		imp.Global = r.globalType()
	case KindTag:
		if c := r.byte(); c != 0 {
			r.fail(r.i-1, "tag attribute 0x%02x", c)
		}
		imp.TypeIndex = d.typeIndex(r)
	default:
		r.fail(at, "unknown kind of import 0x%02x", byte(imp.Kind))
		return
	}
	m.Imports = append(m.Imports, imp)
	m.imported[imp.Kind]++
}

func (d *decoder) typeIndex(r *reader) uint32 {
	at := r.i
	t := r.u32()
	if int64(t) >= int64(len(d.m.Types)) {
		r.fail(at, "type %d does not exist", t)
	}
	return t
}

// typeIndices reads the function section or, with a leading attribute of zero for each item, the tag section.
func (d *decoder) typeIndices(r *reader, tags bool) []uint32 {
	n := r.countTo(maxFuncs)
	out := make([]uint32, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		if tags {
			if c := r.byte(); c != 0 {
				r.fail(r.i-1, "tag attribute 0x%02x", c)
			}
		}
		out = append(out, d.typeIndex(r))
	}
	return out
}

func (d *decoder) exports(r *reader) {
	n := r.countTo(maxExports)
	d.m.Exports = make([]Export, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		e := Export{Name: r.name()}
		at := r.i
		e.Kind = Kind(r.byte())
		e.Index = r.u32()
		var have int
		switch e.Kind {
		case KindFunc:
			have = d.m.FuncCount()
		case KindTable:
			have = d.m.TableCount()
		case KindMemory:
			have = d.m.imported[KindMemory] + len(d.m.Memories)
		case KindGlobal:
			have = d.m.GlobalCount()
		case KindTag:
			have = d.m.TagCount()
		default:
			r.fail(at, "unknown kind of export 0x%02x", byte(e.Kind))
			return
		}
		if int64(e.Index) >= int64(have) {
			r.fail(at, "%s %d does not exist", e.Kind, e.Index)
		}
		d.m.Exports = append(d.m.Exports, e)
	}
}

func (d *decoder) element(r *reader) {
	at := r.i
	e := Element{Flags: r.u32(), Type: Funcref}
	if e.Flags > 7 {
		r.fail(at, "unknown element segment flags %d", e.Flags)
		return
	}
	if e.Mode() == Active {
		if e.Flags&2 != 0 {
			e.Table = r.u32()
		}
		if int64(e.Table) >= int64(d.m.TableCount()) {
			r.fail(at, "table %d does not exist", e.Table)
		}
		e.Offset = r.constExpr()
	}
	e.UsesExprs = e.Flags&4 != 0
	if e.Flags&3 != 0 {
		if e.UsesExprs {
			e.Type = r.valType()
		} else if c := r.byte(); c != 0 {
			r.fail(r.i-1, "unknown element kind 0x%02x", c)
		}
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		if e.UsesExprs {
			e.Exprs = append(e.Exprs, r.constExpr())
			continue
		}
		at := r.i
		f := r.u32()
		if int64(f) >= int64(d.m.FuncCount()) {
			r.fail(at, "function %d does not exist", f)
		}
		e.Funcs = append(e.Funcs, f)
	}
	d.m.Elements = append(d.m.Elements, e)
}

func (d *decoder) data(r *reader) {
	at := r.i
	s := Data{Flags: r.u32()}
	if s.Flags > 2 {
		r.fail(at, "unknown data segment flags %d", s.Flags)
		return
	}
	if s.Flags == 2 {
		if mem := r.u32(); mem != 0 {
			r.fail(at, "memory %d does not exist", mem)
		}
	}
	if s.Flags != 1 {
		s.Offset = r.constExpr()
	}
	n := r.u32()
	if int64(n) > int64(r.left()) {
		r.fail(at, "data of %d bytes, %d left", n, r.left())
		return
	}
	s.Init = r.bytes(int(n))
	d.m.Datas = append(d.m.Datas, s)
}

func (d *decoder) codes(r *reader) {
	n := r.count()
	d.m.Codes = make([]Code, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		size := r.u32()
		if int64(size) > int64(r.left()) {
			r.fail(r.i, "body of %d bytes, %d left", size, r.left())
			return
		}
		if size > maxBody {
			r.fail(r.i, "body of %d bytes, at most %d are understood", size, maxBody)
			return
		}
		end := r.end
		r.end = r.i + int(size)
		c := locals(r)
		c.Offset = r.i
		c.Body = r.bytes(r.left())
		if r.err == nil && (len(c.Body) == 0 || c.Body[len(c.Body)-1] != 0x0b) {
			r.fail(r.i, "body without end")
		}
		d.m.Codes = append(d.m.Codes, c)
		r.end = end
	}
}

func locals(r *reader) Code {
	var c Code
	sum := uint64(0)
	for n := r.count(); n > 0 && r.err == nil; n-- {
		at := r.i
		g := LocalGroup{Count: r.u32()}
		g.Type = r.valType()
		if sum += uint64(g.Count); sum > maxLocals {
			r.fail(at, "more than %d locals in one function", maxLocals)
		}
		c.Locals = append(c.Locals, g)
	}
	return c
}

// finish checks what needs the whole module.
func (d *decoder) finish(end int) error {
	m := d.m
	if len(m.Funcs) != len(m.Codes) {
		return &Error{Section: "code", Offset: end, Msg: fmt.Sprintf("%d functions declared, %d bodies", len(m.Funcs), len(m.Codes))}
	}
	if m.DataCount != nil && int64(*m.DataCount) != int64(len(m.Datas)) {
		return &Error{Section: "data", Offset: end, Msg: fmt.Sprintf("%d segments announced, %d found", *m.DataCount, len(m.Datas))}
	}
	if m.imported[KindMemory]+len(m.Memories) > 1 {
		return &Error{Section: "memory", Offset: end, Msg: "more than one memory"}
	}
	if err := d.need.types.check("type", len(m.Types)); err != nil {
		return err
	}
	if err := d.need.funcs.check("function", m.FuncCount()); err != nil {
		return err
	}
	return d.need.globals.check("global", m.GlobalCount())
}
