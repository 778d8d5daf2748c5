package instrument

import "github.com/taskhost/taskhost/host/internal/wasm"

// The numeric instructions this package writes.
const (
	opI32Eq         = 0x46
	opI32LtU        = 0x49
	opI32GtU        = 0x4b
	opI32LeU        = 0x4d
	opI32GeU        = 0x4f
	opI64LtS        = 0x53
	opI64GtU        = 0x56
	opI32Add        = 0x6a
	opI32Sub        = 0x6b
	opI32Or         = 0x72
	opI64Add        = 0x7c
	opI64Sub        = 0x7d
	opI64Mul        = 0x7e
	opI64Or         = 0x84
	opI64Shl        = 0x86
	opI64ShrU       = 0x88
	opI64ExtendI32U = 0xad
)

// code is a sequence of instructions under construction. Its methods append one instruction, and most return it for chaining.
type code []byte

func (c *code) raw(b ...byte) *code {
	*c = append(*c, b...)
	return c
}

func (c *code) op(o wasm.Op) *code { return c.raw(byte(o)) }

func (c *code) u32(v uint32) *code {
	*c = wasm.AppendU32(*c, v)
	return c
}

func (c *code) i32(v int64) *code {
	*c = wasm.AppendS64(append(*c, byte(wasm.OpI32Const)), v)
	return c
}

func (c *code) i64(v int64) *code {
	*c = wasm.AppendS64(append(*c, byte(wasm.OpI64Const)), v)
	return c
}

func (c *code) local(o wasm.Op, i uint32) *code { return c.op(o).u32(i) }

func (c *code) global(o wasm.Op, i uint32) *code { return c.op(o).u32(i) }

func (c *code) call(f uint32) *code { return c.op(wasm.OpCall).u32(f) }

func (c *code) ifThen() *code { return c.raw(byte(wasm.OpIf), 0x40) }

func (c *code) end() { c.op(wasm.OpEnd) }

func (c *code) bulk(k helperKind) {
	if k == helpFill {
		c.raw(0xfc, byte(wasm.OpMemoryFill&0xff), 0)
		return
	}
	c.raw(0xfc, byte(wasm.OpMemoryCopy&0xff), 0, 0)
}
