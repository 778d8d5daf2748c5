package instrument

import (
	"strings"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// helpers are the functions that are added behind the guest's, by their order of first use.
type helpers struct {
	kinds []helperKind
	index [helperCount]uint32 // plus one
}

type helperKind int

const (
	helpTick     helperKind = iota // () -> (): the slice is used up
	helpOverflow                   // () -> (): the stack is used up
	helpEnter                      // (stack i64) -> (): one of the two
	helpGrow                       // (pages i32) -> i32: memory.grow
	helpFill                       // (dst, value, n i32) -> (): memory.fill
	helpCopy                       // (dst, src, n i32) -> (): memory.copy
	helpStart                      // () -> (): the start function; so that exporting it does not make it referable
	helperCount
)

var helperNames = [helperCount]string{"taskhost.tick", "taskhost.stack_overflow", "taskhost.enter",
	"taskhost.memory_grow", "taskhost.memory_fill", "taskhost.memory_copy", "taskhost.start"}

// helper returns the function index of a helper, which exists from then on.
func (w *rewriter) helper(k helperKind) uint32 {
	if w.helpers.index[k] == 0 {
		w.helpers.kinds = append(w.helpers.kinds, k)
		w.helpers.index[k] = uint32(w.in.FuncCount()+len(w.helpers.kinds)-1) + 1
	}
	return w.helpers.index[k] - 1
}

// bulkPiece is the number of bytes a bulk operation moves between two checks.
const bulkPiece = 1 << 18

func (w *rewriter) addHelpers() {
	var names []wasm.FuncName
	next := 0
	for next < len(w.helpers.kinds) { // a helper may call for another
		k := w.helpers.kinds[next]
		next++
		var b code
		var params, results []wasm.ValType
		locals := uint32(0)
		switch k {
		case helpTick:
			w.tickBody(&b)
		case helpOverflow:
			b.i32(int64(ReasonStack)).global(wasm.OpGlobalSet, w.gReason).op(wasm.OpUnreachable)
		case helpEnter:
			params = []wasm.ValType{wasm.I64}
			b.local(wasm.OpLocalGet, 0).i64(0).raw(opI64LtS).ifThen()
			b.call(w.helper(helpOverflow)).end()
			b.call(w.helper(helpTick))
		case helpGrow:
			params, results = []wasm.ValType{wasm.I32}, []wasm.ValType{wasm.I32}
			locals = 1
			w.growBody(&b)
		case helpStart:
			b.call(*w.in.Start)
		case helpFill, helpCopy:
			params = []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}
			locals = 1
			w.bulkBody(&b, k)
		}
		b.end()
		c := wasm.Code{Body: b}
		if locals > 0 {
			c.Locals = []wasm.LocalGroup{{Count: locals, Type: wasm.I32}}
		}
		w.out.Funcs = append(w.out.Funcs, w.signature(params, results))
		w.out.Codes = append(w.out.Codes, c)
		names = append(names, wasm.FuncName{Index: w.helpers.index[k] - 1, Name: helperNames[k]})
	}
	w.out.Customs = append([]wasm.Custom(nil), w.out.Customs...)
	w.out.AddFuncNames(names)
}

// tickBody leaves to Go once, looks at the flag and the budget, and cuts the next slice.
func (w *rewriter) tickBody(b *code) {
	b.i32(0).raw(byte(wasm.OpTableGet)).u32(w.ownTable).op(wasm.OpRefIsNull).ifThen()
	if w.hasMemory { // to grow by nothing leaves, too, but does not let others run
		b.i32(0).raw(byte(wasm.OpMemoryGrow), 0).op(wasm.OpDrop)
	} else {
		b.raw(byte(wasm.OpRefNull), wasm.CodeFuncref).i32(0)
		b.raw(0xfc, byte(wasm.OpTableGrow&0xff)).u32(w.ownTable).op(wasm.OpDrop)
	}
	b.op(wasm.OpElse)
	b.i32(0).raw(byte(wasm.OpCallIndirect)).u32(w.signature(nil, nil)).u32(w.ownTable)
	b.end()
	b.global(wasm.OpGlobalGet, w.gFlag).ifThen()
	b.i32(int64(ReasonInterrupted)).global(wasm.OpGlobalSet, w.gReason).op(wasm.OpUnreachable).end()
	// fuel += ticks; a slice that was overdrawn is paid here
	b.global(wasm.OpGlobalGet, w.gFuel).global(wasm.OpGlobalGet, w.gTicks).raw(opI64Add).global(wasm.OpGlobalSet, w.gFuel)
	b.i64(0).global(wasm.OpGlobalSet, w.gTicks)
	b.global(wasm.OpGlobalGet, w.gFuel).i64(0).raw(opI64LtS).ifThen()
	b.i32(int64(ReasonFuel)).global(wasm.OpGlobalSet, w.gReason).op(wasm.OpUnreachable).end()
	// ticks = min(slice, fuel); fuel -= ticks
	b.global(wasm.OpGlobalGet, w.gSlice).global(wasm.OpGlobalGet, w.gFuel)
	b.global(wasm.OpGlobalGet, w.gSlice).global(wasm.OpGlobalGet, w.gFuel).raw(opI64LtS).op(wasm.OpSelect).global(wasm.OpGlobalSet, w.gTicks)
	b.global(wasm.OpGlobalGet, w.gFuel).global(wasm.OpGlobalGet, w.gTicks).raw(opI64Sub).global(wasm.OpGlobalSet, w.gFuel)
}

// pageTicks is what growing the memory by one page is charged.
const pageTicks = 64

// growBody is memory.grow where the first pages come from the hidden ones. Local 0 is what is wanted, local 1 what is
// hidden.
func (w *rewriter) growBody(b *code) {
	if !w.cfg.WithoutTicks { // by how much at most: min(pages, 65536)
		b.global(wasm.OpGlobalGet, w.gTicks)
		b.local(wasm.OpLocalGet, 0).i32(65536).local(wasm.OpLocalGet, 0).i32(65536).raw(opI32LtU).op(wasm.OpSelect)
		b.raw(opI64ExtendI32U).i64(pageTicks).raw(opI64Mul).raw(opI64Sub).global(wasm.OpGlobalSet, w.gTicks)
	}
	if !w.virtual {
		b.local(wasm.OpLocalGet, 0).raw(byte(wasm.OpMemoryGrow), 0)
		return
	}
	b.global(wasm.OpGlobalGet, w.gHidden).local(wasm.OpLocalTee, 1)
	b.local(wasm.OpLocalGet, 0).raw(opI32GeU).ifThen()
	b.local(wasm.OpLocalGet, 1).local(wasm.OpLocalGet, 0).raw(opI32Sub).global(wasm.OpGlobalSet, w.gHidden)
	b.raw(byte(wasm.OpMemorySize), 0).local(wasm.OpLocalGet, 1).raw(opI32Sub).op(wasm.OpReturn).end()
	b.local(wasm.OpLocalGet, 0).local(wasm.OpLocalGet, 1).raw(opI32Sub).raw(byte(wasm.OpMemoryGrow), 0)
	b.local(wasm.OpLocalTee, 0).i32(-1).raw(opI32Eq).ifThen().i32(-1).op(wasm.OpReturn).end()
	b.i32(0).global(wasm.OpGlobalSet, w.gHidden)
	b.local(wasm.OpLocalGet, 0).local(wasm.OpLocalGet, 1).raw(opI32Sub)
}

// bulkBody is memory.fill or memory.copy in pieces. Locals 0 to 2 are the operands, local 3 is the size of the piece.
// An operation that is out of bounds is left to the engine as a whole, so that it traps as it should and writes
// nothing. A copy to a higher address goes from the end to the start.
func (w *rewriter) bulkBody(b *code, k helperKind) {
	whole := func() {
		b.local(wasm.OpLocalGet, 0).local(wasm.OpLocalGet, 1).local(wasm.OpLocalGet, 2).bulk(k)
	}
	b.global(wasm.OpGlobalGet, w.gTicks).local(wasm.OpLocalGet, 2).raw(opI64ExtendI32U).i64(3).raw(opI64ShrU)
	b.raw(opI64Sub).global(wasm.OpGlobalSet, w.gTicks)
	b.global(wasm.OpGlobalGet, w.gTicks).i64(0).raw(opI64LtS).ifThen().call(w.helper(helpTick)).end()
	b.local(wasm.OpLocalGet, 2).i32(bulkPiece).raw(opI32LeU).ifThen()
	whole()
	b.op(wasm.OpReturn).end()
	outOfBounds := func(local uint32) {
		b.local(wasm.OpLocalGet, local).raw(opI64ExtendI32U).local(wasm.OpLocalGet, 2).raw(opI64ExtendI32U).raw(opI64Add)
		b.raw(byte(wasm.OpMemorySize), 0).raw(opI64ExtendI32U).i64(16).raw(opI64Shl).raw(opI64GtU)
	}
	outOfBounds(0)
	if k == helpCopy {
		outOfBounds(1)
		b.raw(opI32Or)
	}
	b.ifThen()
	whole()
	b.op(wasm.OpReturn).end()
	// while n > 0
	b.raw(byte(wasm.OpLoop), 0x40)
	b.local(wasm.OpLocalGet, 2).i32(bulkPiece).local(wasm.OpLocalGet, 2).i32(bulkPiece).raw(opI32LtU).op(wasm.OpSelect)
	b.local(wasm.OpLocalSet, 3)
	b.local(wasm.OpLocalGet, 2).local(wasm.OpLocalGet, 3).raw(opI32Sub).local(wasm.OpLocalSet, 2)
	advance := func(local uint32) {
		b.local(wasm.OpLocalGet, local).local(wasm.OpLocalGet, 3).raw(opI32Add).local(wasm.OpLocalSet, local)
	}
	if k == helpFill {
		b.local(wasm.OpLocalGet, 0).local(wasm.OpLocalGet, 1).local(wasm.OpLocalGet, 3).bulk(k)
		advance(0)
	} else {
		b.local(wasm.OpLocalGet, 0).local(wasm.OpLocalGet, 1).raw(opI32GtU).raw(byte(wasm.OpIf), 0x40)
		b.local(wasm.OpLocalGet, 0).local(wasm.OpLocalGet, 2).raw(opI32Add)
		b.local(wasm.OpLocalGet, 1).local(wasm.OpLocalGet, 2).raw(opI32Add)
		b.local(wasm.OpLocalGet, 3).bulk(k)
		b.op(wasm.OpElse)
		b.local(wasm.OpLocalGet, 0).local(wasm.OpLocalGet, 1).local(wasm.OpLocalGet, 3).bulk(k)
		advance(0)
		advance(1)
		b.end()
	}
	b.call(w.helper(helpTick))
	b.local(wasm.OpLocalGet, 2).raw(byte(wasm.OpBrIf), 0).end()
}

// customs drops what speaks of offsets in the code.
func (w *rewriter) customs() {
	kept := w.out.Customs[:0:0]
	for _, c := range w.out.Customs {
		switch {
		case strings.HasPrefix(c.Name, ".debug_"), strings.HasPrefix(c.Name, "reloc."),
			strings.HasPrefix(c.Name, "metadata.code."), c.Name == "linking", c.Name == "sourceMappingURL",
			c.Name == "external_debug_info":
		default:
			kept = append(kept, c)
		}
	}
	w.out.Customs = kept
}
