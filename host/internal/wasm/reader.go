package wasm

import (
	"fmt"
	"unicode/utf8"
)

// Error says where a binary is not a module this package understands.
type Error struct {
	Section string // name of the section, "" for the header
	Offset  int    // from the start of the binary
	Msg     string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Section == "" {
		return fmt.Sprintf("wasm: offset %#x: %s", e.Offset, e.Msg)
	}
	return fmt.Sprintf("wasm: %s section, offset %#x: %s", e.Section, e.Offset, e.Msg)
}

// reader reads from b between i and end; positions are absolute, so that errors can name them. The first error
// stays, and every later read returns zero.
type reader struct {
	b       []byte
	i, end  int
	section string
	err     *Error
	need    *needs    // what constant expressions and heap types refer to; nil where it is checked at once
	refs    *[]uint32 // the functions constant expressions refer to, when somebody wants them
}

// needs remembers the largest index seen in each index space, to be checked when the spaces are complete.
type needs struct {
	types, funcs, globals need
}

type need struct {
	count   int64 // the space must hold so many
	at      int
	section string
}

func (n *need) see(r *reader, index uint32, at int) {
	if c := int64(index) + 1; c > n.count {
		*n = need{c, at, r.section}
	}
}

func (n *need) check(what string, have int) error {
	if n.count <= int64(have) {
		return nil
	}
	return &Error{Section: n.section, Offset: n.at, Msg: fmt.Sprintf("%s %d does not exist", what, n.count-1)}
}

func (r *reader) fail(at int, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Section: r.section, Offset: at, Msg: fmt.Sprintf(format, args...)}
		r.i = r.end
	}
}

func (r *reader) more() bool { return r.err == nil && r.i < r.end }

func (r *reader) left() int { return r.end - r.i }

func (r *reader) byte() byte {
	if r.i >= r.end {
		r.fail(r.i, "unexpected end")
		return 0
	}
	c := r.b[r.i]
	r.i++
	return c
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > r.left() {
		r.fail(r.i, "%d bytes wanted, %d left", n, r.left())
		return nil
	}
	s := r.b[r.i : r.i+n : r.i+n]
	r.i += n
	return s
}

// u32 reads an unsigned number of at most 32 bits.
func (r *reader) u32() uint32 {
	at := r.i
	if r.i < r.end { // one byte is by far the most frequent
		if c := r.b[r.i]; c < 0x80 {
			r.i++
			return uint32(c)
		}
	}
	var v uint32
	for s := uint(0); s < 35; s += 7 {
		c := r.byte()
		if s == 28 && c > 0x0f {
			break
		}
		v |= uint32(c&0x7f) << s
		if c < 0x80 {
			return v
		}
	}
	r.fail(at, "malformed unsigned 32-bit number")
	return 0
}

// signed reads a signed number of at most bits bits.
func (r *reader) signed(bits uint) int64 {
	at := r.i
	var v int64
	for s := uint(0); s < bits; s += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		v |= int64(c&0x7f) << s
		if s+7 >= bits { // the last byte: its unused bits must repeat the sign
			unused := int8(c<<1) >> (bits - s) // the sign bit of the number and all bits above it
			if c >= 0x80 || (unused != 0 && unused != -1) {
				break
			}
			sh := 64 - bits
			return v << sh >> sh
		}
		if c < 0x80 {
			if c&0x40 != 0 {
				v |= -1 << (s + 7)
			}
			return v
		}
	}
	r.fail(at, "malformed signed %d-bit number", bits)
	return 0
}

// count reads the length of a vector whose items take at least one byte each.
func (r *reader) count() int {
	at := r.i
	n := r.u32()
	if int64(n) > int64(r.left()) {
		r.fail(at, "vector of %d items in %d bytes", n, r.left())
		return 0
	}
	return int(n)
}

// countTo is count for what there may be so many of.
func (r *reader) countTo(most int) int {
	at := r.i
	n := r.count()
	if n > most {
		r.fail(at, "%d items, at most %d are understood", n, most)
		return 0
	}
	return n
}

func (r *reader) name() string {
	n := r.u32()
	if int64(n) > int64(r.left()) {
		r.fail(r.i, "name of %d bytes, %d left", n, r.left())
		return ""
	}
	at := r.i
	s := r.bytes(int(n))
	if !utf8.Valid(s) {
		r.fail(at, "name is not UTF-8")
	}
	return string(s)
}

func (r *reader) valType() ValType {
	at := r.i
	c := r.byte()
	switch c {
	case CodeI32, CodeI64, CodeF32, CodeF64, CodeV128, CodeFuncref, CodeExternref, CodeExnref:
		return ValType{Code: c}
	case CodeRef, CodeRefNull:
		return ValType{Code: c, Heap: r.heapType()}
	}
	r.fail(at, "unknown value type 0x%02x", c)
	return ValType{}
}

func (r *reader) heapType() int64 {
	at := r.i
	h := r.signed(33)
	if h < 0 && h != heapFunc && h != heapExtern && h != heapExn {
		r.fail(at, "unknown heap type %d", h)
	}
	if h >= 0 && r.need != nil {
		r.need.types.see(r, uint32(h), at)
	}
	return h
}

func (r *reader) limits() Limits {
	at := r.i
	var l Limits
	f := r.byte()
	if f > 3 {
		r.fail(at, "unknown limits flag 0x%02x", f)
	}
	l.Shared = f&2 != 0
	l.HasMax = f&1 != 0
	l.Min = r.u32()
	if l.HasMax {
		l.Max = r.u32()
	}
	return l
}

func (r *reader) table() Table {
	var t Table
	init := false
	if r.i < r.end && r.b[r.i] == 0x40 {
		r.i++
		if c := r.byte(); c != 0 {
			r.fail(r.i-1, "reserved byte of a table is 0x%02x", c)
		}
		init = true
	}
	at := r.i
	t.Type = r.valType()
	if r.err == nil && !t.Type.IsRef() {
		r.fail(at, "table of %s", t.Type)
	}
	t.Limits = r.limits()
	if init {
		t.Init = r.constExpr()
	}
	return t
}

func (r *reader) globalType() GlobalType {
	t := GlobalType{Type: r.valType()}
	at := r.i
	m := r.byte()
	if m > 1 {
		r.fail(at, "mutability 0x%02x", m)
	}
	t.Mutable = m == 1
	return t
}

// constExpr returns the bytes of a constant expression with its end.
func (r *reader) constExpr() []byte {
	start := r.i
	for r.err == nil {
		at := r.i
		switch op := r.byte(); op {
		case 0x0b:
			return r.b[start:r.i:r.i]
		case 0x41:
			r.signed(32)
		case 0x42:
			r.signed(64)
		case 0x43:
			r.bytes(4)
		case 0x44:
			r.bytes(8)
		case 0x23:
			if i := r.u32(); r.need != nil {
				r.need.globals.see(r, i, at)
			}
		case 0xd2:
			i := r.u32()
			if r.need != nil {
				r.need.funcs.see(r, i, at)
			}
			if r.refs != nil {
				*r.refs = append(*r.refs, i)
			}
		case 0xd0:
			r.refNull()
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e:
		case 0xfd:
			if c := r.byte(); c != 0x0c {
				r.fail(at, "instruction fd %02x in a constant expression", c)
			}
			r.bytes(16)
		default:
			r.fail(at, "instruction 0x%02x in a constant expression", op)
		}
	}
	return nil
}

// refNull reads the heap type of ref.null: one byte for the abstract types, else the index of a type.
func (r *reader) refNull() {
	if r.i < r.end {
		switch r.b[r.i] {
		case CodeFuncref, CodeExternref, CodeExnref:
			r.i++
			return
		}
	}
	at := r.i
	if t := r.u32(); r.need != nil {
		r.need.types.see(r, t, at)
	}
}

// RefFuncs returns the functions a constant expression of a decoded module refers to.
func RefFuncs(expr []byte) []uint32 {
	var refs []uint32
	r := &reader{b: expr, end: len(expr), refs: &refs}
	if len(expr) > 0 {
		r.constExpr()
	}
	return refs
}
