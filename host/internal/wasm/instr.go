package wasm

// Instrs reads the instructions of one body and checks their form: nesting, labels and every index. It does not check
// the types of operands. The zero value is not usable; call [Module.Instrs].
type Instrs struct {
	m      *Module
	r      reader
	base   int // offset of the body in the binary, for messages
	locals uint32
	memory bool
	open   []Op // the blocks around the next instruction, without the function itself
	done   bool
	in     Instr
}

// Instrs returns a reader of the body of the i-th function the module defines. Passing a used reader as reuse saves
// its memory.
func (m *Module) Instrs(i int, reuse *Instrs) *Instrs {
	c := &m.Codes[i]
	if reuse == nil {
		reuse = &Instrs{}
	}
	s := reuse
	s.m = m
	s.r = reader{b: c.Body, end: len(c.Body), section: sectionNames[idCode]}
	s.base = c.Offset
	s.locals = uint32(len(m.Types[m.Funcs[i]].Params))
	for _, g := range c.Locals {
		s.locals += g.Count
	}
	_, _, s.memory = m.Memory()
	s.open = s.open[:0]
	s.done = false
	return s
}

// Next reads the next instruction. It returns nil at the end of the body and after an error. What it returns is valid
// until the next call.
func (s *Instrs) Next() *Instr {
	if s.r.err != nil {
		return nil
	}
	if s.done {
		if s.r.i != s.r.end {
			s.r.fail(s.r.i, "%d bytes after the end of the body", s.r.left())
		}
		return nil
	}
	in := &s.in
	in.Start = s.r.i
	in.X, in.Y, in.Const = 0, 0, 0
	in.Block.Form = 0
	in.Labels, in.Catches = in.Labels[:0], in.Catches[:0]
	switch op := Op(s.r.byte()); {
	case op >= OpNumericFirst && op <= OpNumericLast:
		in.Op = op
	case op >= OpLocalGet && op <= OpLocalTee:
		in.Op = op
		in.X = s.index("local", int(s.locals))
	default:
		in.Op = op
		s.immediates(in)
	}
	if s.r.err != nil {
		return nil
	}
	in.End = s.r.i
	return in
}

// Depth is the number of blocks around the next instruction, without the function itself.
func (s *Instrs) Depth() int { return len(s.open) }

// Err is the error that ended the reading, or nil.
func (s *Instrs) Err() error {
	if s.r.err == nil {
		return nil
	}
	e := *s.r.err
	e.Offset += s.base
	return &e
}

func (s *Instrs) immediates(in *Instr) {
	r := &s.r
	switch op := in.Op; {
	case op >= OpNumericFirst && op <= OpNumericLast, op == OpUnreachable, op == OpNop, op == OpReturn, op == OpThrowRef,
		op == OpDrop, op == OpSelect, op == OpRefIsNull, op == OpRefAsNonNull:
	case op >= OpLoadFirst && op <= OpStoreLast:
		s.memarg()
	case op <= OpBrTable:
		s.control(in)
	case op >= OpLocalGet && op <= OpLocalTee:
		in.X = s.index("local", int(s.locals))
	case op == OpGlobalGet || op == OpGlobalSet:
		in.X = s.index("global", s.m.GlobalCount())
	case op == OpI32Const:
		in.Const = r.signed(32)
	case op == OpI64Const:
		in.Const = r.signed(64)
	case op == OpF32Const:
		r.bytes(4)
	case op == OpF64Const:
		r.bytes(8)
	case op == OpCall || op == OpReturnCall:
		in.X = s.index("function", s.m.FuncCount())
	case op == OpCallIndirect || op == OpReturnCallIndirect:
		in.X = s.index("type", len(s.m.Types))
		in.Y = s.index("table", s.m.TableCount())
	case op == OpCallRef || op == OpReturnCallRef:
		in.X = s.index("type", len(s.m.Types))
	case op == OpSelectTyped:
		if c := r.byte(); c != 1 {
			r.fail(r.i-1, "select with %d types", c)
		}
		s.valType()
	case op == OpTryTable:
		s.tryTable(in)
	case op == OpTableGet || op == OpTableSet:
		in.X = s.index("table", s.m.TableCount())
	case op == OpMemorySize || op == OpMemoryGrow:
		s.zeroMemory()
	case op == OpRefNull:
		s.refNull()
	case op == OpRefFunc:
		in.X = s.index("function", s.m.FuncCount())
	case op == OpBrOnNull || op == OpBrOnNonNull:
		in.X = s.label()
	case op == 0xfc:
		s.misc(in)
	case op == 0xfd:
		s.vector(in)
	case op == 0xfe:
		s.atomic(in)
	default:
		r.fail(in.Start, "unknown instruction 0x%02x", byte(op))
	}
}

func (s *Instrs) control(in *Instr) {
	r := &s.r
	switch in.Op {
	case OpBlock, OpLoop, OpIf:
		in.Block = s.blockType()
		s.open = append(s.open, in.Op)
	case OpElse:
		if n := len(s.open); n == 0 || s.open[n-1] != OpIf {
			r.fail(in.Start, "else without if")
			return
		}
		s.open[len(s.open)-1] = OpElse
	case OpEnd:
		if len(s.open) == 0 {
			s.done = true
			return
		}
		s.open = s.open[:len(s.open)-1]
	case OpThrow:
		in.X = s.index("tag", s.m.TagCount())
	case OpBr, OpBrIf:
		in.X = s.label()
	case OpBrTable:
		for n := r.count(); n >= 0 && r.err == nil; n-- {
			in.Labels = append(in.Labels, s.label())
		}
	default:
		r.fail(in.Start, "unknown instruction 0x%02x", byte(in.Op))
	}
}

func (s *Instrs) tryTable(in *Instr) {
	r := &s.r
	in.Block = s.blockType()
	for n := r.count(); n > 0 && r.err == nil; n-- {
		c := Catch{Kind: r.byte()}
		switch c.Kind {
		case 0, 1:
			c.Tag = s.index("tag", s.m.TagCount())
		case 2, 3:
		default:
			r.fail(r.i-1, "unknown catch clause 0x%02x", c.Kind)
		}
		c.Label = s.label() // the try_table itself is not a target yet
		in.Catches = append(in.Catches, c)
	}
	s.open = append(s.open, OpTryTable)
}

func (s *Instrs) misc(in *Instr) {
	r := &s.r
	sub := r.u32()
	if sub > 0x11 {
		r.fail(in.Start, "unknown instruction fc %d", sub)
		return
	}
	in.Op = 0xfc00 | Op(sub)
	switch in.Op {
	case OpMemoryInit:
		in.X = s.dataIndex()
		s.zeroMemory()
	case OpDataDrop:
		in.X = s.dataIndex()
	case OpMemoryCopy:
		s.zeroMemory()
		s.zeroMemory()
	case OpMemoryFill:
		s.zeroMemory()
	case OpTableInit:
		in.X = s.index("element segment", len(s.m.Elements))
		in.Y = s.index("table", s.m.TableCount())
	case OpElemDrop:
		in.X = s.index("element segment", len(s.m.Elements))
	case OpTableCopy:
		in.X = s.index("table", s.m.TableCount())
		in.Y = s.index("table", s.m.TableCount())
	case OpTableGrow, OpTableSize, OpTableFill:
		in.X = s.index("table", s.m.TableCount())
	}
}

// vector reads the rest of a vector instruction. Its number must be in the shortest form: engines that look at one byte
// only would otherwise see another instruction than this reader.
func (s *Instrs) vector(in *Instr) {
	r := &s.r
	sub := r.byte()
	if sub >= 0x80 {
		if c := r.byte(); c != 1 {
			r.fail(in.Start, "unknown instruction fd %02x %02x", sub, c)
			return
		}
	}
	in.Op = 0xfd00 | Op(sub)
	switch {
	case sub <= 0x0b, sub == 0x5c, sub == 0x5d:
		s.memarg()
	case sub == 0x0c, sub == 0x0d:
		r.bytes(16)
	case sub >= 0x15 && sub <= 0x22:
		r.byte()
	case sub >= 0x54 && sub <= 0x5b:
		s.memarg()
		r.byte()
	}
}

func (s *Instrs) atomic(in *Instr) {
	r := &s.r
	sub := r.byte()
	in.Op = 0xfe00 | Op(sub)
	switch {
	case in.Op == OpAtomicFence:
		if c := r.byte(); c != 0 {
			r.fail(r.i-1, "reserved byte of atomic.fence is 0x%02x", c)
		}
	case sub <= 0x02, sub >= 0x10 && sub <= 0x4e:
		s.memarg()
	default:
		r.fail(in.Start, "unknown instruction fe %02x", sub)
	}
}

func (s *Instrs) memarg() {
	r := &s.r
	at := r.i
	if !s.memory {
		r.fail(at, "the module has no memory")
	}
	if align := r.u32(); align >= 32 {
		r.fail(at, "alignment 2**%d", align)
	}
	r.u32()
}

func (s *Instrs) zeroMemory() {
	at := s.r.i
	if !s.memory {
		s.r.fail(at, "the module has no memory")
	}
	if c := s.r.byte(); c != 0 {
		s.r.fail(at, "memory %d does not exist", c)
	}
}

func (s *Instrs) index(what string, have int) uint32 {
	at := s.r.i
	i := s.r.u32()
	if int64(i) >= int64(have) {
		s.r.fail(at, "%s %d does not exist", what, i)
	}
	return i
}

func (s *Instrs) dataIndex() uint32 {
	if s.m.DataCount == nil {
		s.r.fail(s.r.i, "the data count section is missing")
	}
	return s.index("data segment", len(s.m.Datas))
}

func (s *Instrs) label() uint32 {
	at := s.r.i
	l := s.r.u32()
	if int64(l) > int64(len(s.open)) {
		s.r.fail(at, "label %d in %d blocks", l, len(s.open)+1)
	}
	return l
}

func (s *Instrs) valType() ValType {
	at := s.r.i
	t := s.r.valType()
	s.checkHeap(t.Heap, at)
	return t
}

func (s *Instrs) checkHeap(h int64, at int) {
	if h >= 0 && h >= int64(len(s.m.Types)) && h != 0 {
		s.r.fail(at, "type %d does not exist", h)
	}
}

func (s *Instrs) refNull() {
	r := &s.r
	at := r.i
	n := needs{}
	r.need = &n
	r.refNull()
	r.need = nil
	if n.types.count > int64(len(s.m.Types)) {
		r.fail(at, "type %d does not exist", n.types.count-1)
	}
}

func (s *Instrs) blockType() BlockType {
	r := &s.r
	at := r.i
	v := r.signed(33)
	switch {
	case r.err != nil:
		return BlockType{}
	case v == -64:
		return BlockType{}
	case v >= 0:
		if v >= int64(len(s.m.Types)) {
			r.fail(at, "type %d does not exist", v)
		}
		return BlockType{Form: BlockIndex, Index: uint32(v)}
	}
	t := ValType{Code: byte(v & 0x7f)}
	switch t.Code {
	case CodeI32, CodeI64, CodeF32, CodeF64, CodeV128, CodeFuncref, CodeExternref, CodeExnref:
	case CodeRef, CodeRefNull:
		hat := r.i
		t.Heap = r.heapType()
		s.checkHeap(t.Heap, hat)
	default:
		r.fail(at, "unknown block type %d", v)
	}
	if v < -64 {
		r.fail(at, "unknown block type %d", v)
	}
	return BlockType{Form: BlockValue, Value: t}
}
