package wasm

import (
	"fmt"
	"strings"
)

// ValType is a value type as it stands in the binary. Code is the first byte; Heap is the heap type of the two-part
// forms (ref null ht) and (ref ht), and zero otherwise. Two equal ValTypes are encoded equally.
type ValType struct {
	Code byte
	Heap int64
}

// The codes of value types, and the two prefixes of reference types with a heap type.
const (
	CodeI32       = 0x7f
	CodeI64       = 0x7e
	CodeF32       = 0x7d
	CodeF64       = 0x7c
	CodeV128      = 0x7b
	CodeFuncref   = 0x70
	CodeExternref = 0x6f
	CodeExnref    = 0x69
	CodeRef       = 0x64
	CodeRefNull   = 0x63
)

// The value types without a heap type.
var (
	I32       = ValType{Code: CodeI32}
	I64       = ValType{Code: CodeI64}
	F32       = ValType{Code: CodeF32}
	F64       = ValType{Code: CodeF64}
	V128      = ValType{Code: CodeV128}
	Funcref   = ValType{Code: CodeFuncref}
	Externref = ValType{Code: CodeExternref}
	Exnref    = ValType{Code: CodeExnref}
)

// IsRef reports whether t is a reference type.
func (t ValType) IsRef() bool {
	switch t.Code {
	case CodeFuncref, CodeExternref, CodeExnref, CodeRef, CodeRefNull:
		return true
	}
	return false
}

// String is the type as the text format writes it.
func (t ValType) String() string {
	switch t.Code {
	case CodeI32:
		return "i32"
	case CodeI64:
		return "i64"
	case CodeF32:
		return "f32"
	case CodeF64:
		return "f64"
	case CodeV128:
		return "v128"
	case CodeFuncref:
		return "funcref"
	case CodeExternref:
		return "externref"
	case CodeExnref:
		return "exnref"
	case CodeRef:
		return "(ref " + heapName(t.Heap) + ")"
	case CodeRefNull:
		return "(ref null " + heapName(t.Heap) + ")"
	}
	return fmt.Sprintf("type(0x%02x)", t.Code)
}

// The abstract heap types wazero knows, as signed numbers.
const (
	heapFunc   = -16
	heapExtern = -17
	heapExn    = -23
)

func heapName(h int64) string {
	switch h {
	case heapFunc:
		return "func"
	case heapExtern:
		return "extern"
	case heapExn:
		return "exn"
	}
	return fmt.Sprint(h)
}

// FuncType is the type of a function. Members of one recursion group follow each other: RecSize is the size of the
// group and zero for a type that stands alone; RecPos is the position in it.
type FuncType struct {
	Params, Results []ValType
	RecSize, RecPos int
}

// String is the type in the form (i32, i64) -> (f32).
func (t FuncType) String() string {
	return typeList(t.Params) + " -> " + typeList(t.Results)
}

func typeList(ts []ValType) string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.String()
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// Limits bound the size of a memory, in pages of 64 KiB, or of a table, in elements.
type Limits struct {
	Min    uint32
	Max    uint32 // meaningful when HasMax
	HasMax bool
	Shared bool
}

// Table is the type of a table, with its initializer when it has one.
type Table struct {
	Type   ValType
	Limits Limits
	Init   []byte // constant expression with its end, or nil
}

// GlobalType is the type of a global.
type GlobalType struct {
	Type    ValType
	Mutable bool
}

// Kind says what an import or an export is.
type Kind byte

// The kinds of imports and exports.
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
	KindTag
)

// String is the keyword of the text format.
func (k Kind) String() string {
	switch k {
	case KindFunc:
		return "func"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	case KindTag:
		return "tag"
	}
	return fmt.Sprintf("kind(%d)", byte(k))
}

// Import is one import. Only the field that belongs to Kind is set; TypeIndex serves functions and tags.
type Import struct {
	Module, Name string
	Kind         Kind
	TypeIndex    uint32
	Table        Table
	Memory       Limits
	Global       GlobalType
}

// Export is one export; Index counts imports first.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// Global is a global the module defines. Init is a constant expression with its end.
type Global struct {
	GlobalType
	Init []byte
}

// SegmentMode says how an element or data segment is used.
type SegmentMode byte

// The modes of segments. Data segments are active or passive only.
const (
	Active SegmentMode = iota
	Passive
	Declarative
)

// Element is an element segment. The items are function indices (Funcs) or, when UsesExprs, constant expressions
// (Exprs).
type Element struct {
	Flags     uint32 // 0 to 7, as in the binary
	Table     uint32
	Offset    []byte // constant expression of an active segment
	Type      ValType
	UsesExprs bool
	Funcs     []uint32
	Exprs     [][]byte
}

// Mode is how the segment is used.
func (e *Element) Mode() SegmentMode {
	switch e.Flags & 3 {
	case 1:
		return Passive
	case 3:
		return Declarative
	}
	return Active
}

// Data is a data segment.
type Data struct {
	Flags  uint32 // 0, 1 or 2, as in the binary
	Offset []byte // constant expression of an active segment
	Init   []byte
}

// Mode is how the segment is used.
func (d *Data) Mode() SegmentMode {
	if d.Flags == 1 {
		return Passive
	}
	return Active
}

// At is where in the memory the first byte of an active segment goes, if its offset is a plain constant.
func (d *Data) At() (offset uint32, ok bool) {
	if d.Mode() != Active || len(d.Offset) < 3 || Op(d.Offset[0]) != OpI32Const {
		return 0, false
	}
	r := reader{b: d.Offset, i: 1, end: len(d.Offset)}
	v := r.signed(32)
	if r.err != nil || r.i != r.end-1 || Op(d.Offset[r.i]) != OpEnd {
		return 0, false
	}
	return uint32(v), true
}

// LocalGroup declares Count locals of one type.
type LocalGroup struct {
	Count uint32
	Type  ValType
}

// Code is the body of a function: its locals without the parameters, and its instructions with the final end.
type Code struct {
	Locals []LocalGroup
	Body   []byte
	Offset int // of Body in the decoded binary; only for messages
}

// Custom is a custom section. Before is the id of the first known section that follows it, 0 when none does.
type Custom struct {
	Name   string
	Data   []byte
	Before byte
}
