package wasm

// Op is an instruction: its byte, or for a prefixed instruction the prefix in the high byte and the number in the low
// one.
type Op uint16

// The instructions a pass over a module has to tell apart. Ranges are inclusive.
const (
	OpUnreachable        Op = 0x00
	OpNop                Op = 0x01
	OpBlock              Op = 0x02
	OpLoop               Op = 0x03
	OpIf                 Op = 0x04
	OpElse               Op = 0x05
	OpThrow              Op = 0x08
	OpThrowRef           Op = 0x0a
	OpEnd                Op = 0x0b
	OpBr                 Op = 0x0c
	OpBrIf               Op = 0x0d
	OpBrTable            Op = 0x0e
	OpReturn             Op = 0x0f
	OpCall               Op = 0x10
	OpCallIndirect       Op = 0x11
	OpReturnCall         Op = 0x12
	OpReturnCallIndirect Op = 0x13
	OpCallRef            Op = 0x14
	OpReturnCallRef      Op = 0x15
	OpDrop               Op = 0x1a
	OpSelect             Op = 0x1b
	OpSelectTyped        Op = 0x1c
	OpTryTable           Op = 0x1f
	OpLocalGet           Op = 0x20
	OpLocalSet           Op = 0x21
	OpLocalTee           Op = 0x22
	OpGlobalGet          Op = 0x23
	OpGlobalSet          Op = 0x24
	OpTableGet           Op = 0x25
	OpTableSet           Op = 0x26
	OpLoadFirst          Op = 0x28
	OpLoadLast           Op = 0x35
	OpStoreFirst         Op = 0x36
	OpStoreLast          Op = 0x3e
	OpMemorySize         Op = 0x3f
	OpMemoryGrow         Op = 0x40
	OpI32Const           Op = 0x41
	OpI64Const           Op = 0x42
	OpF32Const           Op = 0x43
	OpF64Const           Op = 0x44
	OpNumericFirst       Op = 0x45
	OpNumericLast        Op = 0xc4
	OpRefNull            Op = 0xd0
	OpRefIsNull          Op = 0xd1
	OpRefFunc            Op = 0xd2
	OpRefAsNonNull       Op = 0xd4
	OpBrOnNull           Op = 0xd5
	OpBrOnNonNull        Op = 0xd6

	OpTruncSatLast Op = 0xfc07
	OpMemoryInit   Op = 0xfc08
	OpDataDrop     Op = 0xfc09
	OpMemoryCopy   Op = 0xfc0a
	OpMemoryFill   Op = 0xfc0b
	OpTableInit    Op = 0xfc0c
	OpElemDrop     Op = 0xfc0d
	OpTableCopy    Op = 0xfc0e
	OpTableGrow    Op = 0xfc0f
	OpTableSize    Op = 0xfc10
	OpTableFill    Op = 0xfc11

	OpAtomicNotify Op = 0xfe00
	OpAtomicWait32 Op = 0xfe01
	OpAtomicWait64 Op = 0xfe02
	OpAtomicFence  Op = 0xfe03
)

// Instr is one decoded instruction. Which fields are set depends on Op; Labels and Catches are reused by the next
// call of [Instrs.Next].
type Instr struct {
	Op         Op
	Start, End int // in the body
	Block      BlockType
	X, Y       uint32   // immediates in the order of the binary: label, index, type; type and table for indirect calls
	Const      int64    // value of i32.const and i64.const
	Labels     []uint32 // br_table, the default last
	Catches    []Catch
}

// Catch is one clause of a try_table.
type Catch struct {
	Kind  byte   // 0 catch, 1 catch_ref, 2 catch_all, 3 catch_all_ref
	Tag   uint32 // kinds 0 and 1
	Label uint32
}

// BlockType is the type of a block: empty, one result, or a function type.
type BlockType struct {
	Form  BlockForm
	Value ValType // BlockValue
	Index uint32  // BlockIndex
}

// BlockForm tells the three forms of block types apart.
type BlockForm byte

// The forms of block types.
const (
	BlockEmpty BlockForm = iota
	BlockValue
	BlockIndex
)

// AppendBlockType appends a block type.
func AppendBlockType(b []byte, t BlockType) []byte {
	switch t.Form {
	case BlockValue:
		return AppendValType(b, t.Value)
	case BlockIndex:
		return AppendS64(b, int64(t.Index))
	}
	return append(b, 0x40)
}
