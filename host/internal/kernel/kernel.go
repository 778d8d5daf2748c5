// Package kernel is the memory through which a plugin and its host exchange blocks: Extism's kernel, written anew.
//
// The kernel is a Wasm module of its own (kernel.wat). One instance of it belongs to each plugin instance and is linked to it
// wasm to wasm under the name "extism:host/env", so that a guest's load_u64 is a direct call that never leaves compiled code.
// What needs Go the kernel imports from [HostModule] and exports again.
//
// Layout of its memory: 0..1023 is the kernel's own (its state and the heads of the free lists), then blocks follow each other. A block is a
// header of 16 bytes (size with header, used bytes, a mark that holds its own address, link of the free list) and its data,
// aligned to 16. An offset is the address of the data; 0 is no block. A guest can write over the headers with store_u8, which
// harms itself alone: the host checks every offset and length that it reads.
//
// The meaning of each function follows Extism's kernel (https://github.com/extism/extism/tree/main/kernel), but for two faults that
// it passes over in silence and that end the call here: a load or store outside the blocks, and an allocation that does not fit.
package kernel

import (
	"context"
	_ "embed"
	"encoding/binary"
	"math/bits"

	"github.com/tetratelabs/wazero/api"
)

//go:generate wat2wasm kernel.wat -o kernel.wasm

// Wasm is the kernel's module.
//
//go:embed kernel.wasm
var Wasm []byte

const (
	// HostModule is the module that the kernel imports from.
	HostModule = "taskhost:env"
	// FaultFunc of HostModule is called before the kernel traps: (function i32, offset i64, length i64).
	// Function is an index of [FaultName]; for alloc the length is what did not fit.
	FaultFunc = "fault"

	headerSize = 16
	heapBase   = 1024
	firstBlock = heapBase + headerSize
	firstEnd   = 1 << 16 // of the memory, until it grows
	mark       = 0x6b736174
)

// Where the kernel's state stands in its memory; see kernel.wat.
const (
	atOut     = 0
	atOutLen  = 8
	atFail    = 16
	atInLen   = 24
	atInWords = 32
	atSize    = 40
	atWords   = 48
	atFreed   = 56
	atMoved   = 60
	atLists   = 64
	endLists  = 192
)

// FaultName tells which function a fault was in.
func FaultName(f uint32) string {
	names := [...]string{"alloc", "load_u8", "load_u64", "store_u8", "store_u64", "input_set", "output_set"}
	if int(f) < len(names) {
		return names[f]
	}
	return "unknown"
}

// Kernel is one instance of the kernel. It is for one goroutine at a time.
type Kernel struct {
	mod         api.Module
	mem         api.Memory
	begin       api.Function
	alloc, free api.Function // looked up when first needed, as reset is
	reset       api.Function
	stack       [1]uint64
}

// New wraps an instance of [Wasm].
func New(mod api.Module) *Kernel {
	return &Kernel{mod: mod, mem: mod.Memory()}
}

// Module is the instance, to link to.
func (k *Kernel) Module() api.Module { return k.mod }

// memory is a view of all of the kernel's memory that its calls so far have seen, valid until it grows.
func (k *Kernel) memory() []byte {
	b, _ := k.mem.Read(0, k.mem.Size())
	return b
}

var le = binary.LittleEndian

// Used is how much of the kernel's memory the call has used so far, in bytes, blocks that were freed included.
func (k *Kernel) Used() uint64 { return heapBase + le.Uint64(k.memory()[atSize:]) }

// Begin forgets all blocks of the call before and makes input the input of the next. In most calls all that is to be done is to write
// a few words, which the host does itself: calling the kernel costs as much as a short call of a guest.
func (k *Kernel) Begin(ctx context.Context, input []byte) error {
	b := k.memory()
	if le.Uint32(b[atMoved:]) != 0 || len(input) > firstEnd-heapBase-2*headerSize {
		return k.beginAnew(ctx, input)
	}
	forget(b)
	le.PutUint64(b[atOut:], 0)
	le.PutUint64(b[atOutLen:], 0)
	le.PutUint64(b[atFail:], 0)
	if le.Uint32(b[atFreed:]) != 0 {
		le.PutUint32(b[atFreed:], 0)
		clear(b[atLists:endLists])
	}
	n := len(input)
	le.PutUint64(b[atInLen:], uint64(n))
	le.PutUint64(b[atInWords:], uint64(max(n-7, 0)))
	if n > 0 {
		copy(b[bump(b, n):], input)
	}
	return nil
}

// beginAnew is Begin for any state and any input.
func (k *Kernel) beginAnew(ctx context.Context, input []byte) error {
	if k.begin == nil {
		k.begin = k.mod.ExportedFunction("begin")
	}
	forget(k.memory())
	k.stack[0] = uint64(len(input))
	if err := k.begin.CallWithStack(ctx, k.stack[:]); err != nil {
		return err
	}
	if len(input) > 0 {
		k.mem.Write(uint32(k.stack[0]), input)
	}
	return nil
}

// forget leaves no byte of the blocks, several times as fast as reset, which then finds none.
func forget(b []byte) {
	clear(b[heapBase : heapBase+le.Uint64(b[atSize:])])
	clear(b[atSize:atFreed])
}

// bump takes a block of n bytes from the end, where there is room for it, as the kernel does, and returns its offset.
func bump(b []byte, n int) uint32 {
	size, need := le.Uint32(b[atSize:]), blockSize(n)
	le.PutUint64(b[atSize:], uint64(size+need))
	le.PutUint64(b[atWords:], uint64(size+need-7))
	top := heapBase + size
	le.PutUint32(b[top:], need)
	le.PutUint32(b[top+4:], uint32(n))
	le.PutUint32(b[top+8:], (top+headerSize)^mark)
	return top + headerSize
}

// blockSize is what a block of n bytes takes, its header included.
func blockSize(n int) uint32 { return (uint32(n) + headerSize + 15) &^ 15 }

// Reset forgets all blocks and leaves no byte of them.
func (k *Kernel) Reset(ctx context.Context) error {
	if k.reset == nil {
		k.reset = k.mod.ExportedFunction("reset")
	}
	forget(k.memory())
	return k.reset.CallWithStack(ctx, nil)
}

// Outcome is what the guest has left: a view of its output, or of the message of its error; views are valid until the guest or the
// kernel runs again. The output is nil if there is none, or if it is larger than limit, which its length tells. Failed tells whether the
// guest set a message that is not empty.
func (k *Kernel) Outcome(limit uint64) (output []byte, length uint64, failure []byte, failed bool) {
	b := k.memory()
	if off := le.Uint64(b[atFail:]); off != 0 {
		failure, _ = block(b, off)
		failed = len(failure) > 0
	}
	length = le.Uint64(b[atOutLen:])
	if length > 0 && length <= limit {
		output, _ = view(b, le.Uint64(b[atOut:]), length)
	}
	return output, length, failure, failed
}

// SetFailure makes the block at off the error message, as error_set does.
func (k *Kernel) SetFailure(off uint64) { le.PutUint64(k.memory()[atFail:], off) }

// Block is a view of the block at off, valid until the guest or the kernel runs again. Offset 0 is the empty block;
// ok is false if there is no block at off.
func (k *Kernel) Block(off uint64) (b []byte, ok bool) { return block(k.memory(), off) }

func block(mem []byte, off uint64) (b []byte, ok bool) {
	if off == 0 {
		return nil, true
	}
	if off < firstBlock || off >= heapBase+le.Uint64(mem[atSize:]) {
		return nil, false
	}
	if le.Uint32(mem[off-headerSize+8:]) != uint32(off)^mark {
		return nil, false
	}
	return view(mem, off, uint64(le.Uint32(mem[off-headerSize+4:])))
}

// View is a view of n bytes at off, which may lie anywhere among the blocks; ok is false if they do not.
func (k *Kernel) View(off, n uint64) (b []byte, ok bool) {
	if n == 0 {
		return nil, true
	}
	return view(k.memory(), off, n)
}

func view(mem []byte, off, n uint64) (b []byte, ok bool) {
	end := heapBase + le.Uint64(mem[atSize:])
	if off < heapBase || off > end || n > end-off {
		return nil, false
	}
	return mem[off : off+n : off+n], true
}

// Put allocates a block that holds b and returns its offset; 0 if b is empty. The error is the fault that the kernel reported.
func (k *Kernel) Put(ctx context.Context, b []byte) (uint64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	mem := k.memory()
	if size := le.Uint64(mem[atSize:]); len(b) < firstEnd && heapBase+size+uint64(blockSize(len(b))) <= firstEnd {
		off := bump(mem, len(b))
		copy(mem[off:], b)
		return uint64(off), nil
	}
	if k.alloc == nil {
		k.alloc = k.mod.ExportedFunction("alloc")
	}
	k.stack[0] = uint64(len(b))
	if err := k.alloc.CallWithStack(ctx, k.stack[:]); err != nil {
		return 0, err
	}
	k.mem.Write(uint32(k.stack[0]), b)
	return k.stack[0], nil
}

// Free gives the block at off back. An offset without a block is passed over.
func (k *Kernel) Free(ctx context.Context, off uint64) error {
	b := k.memory()
	if _, ok := block(b, off); !ok || off == 0 {
		return nil
	}
	if le.Uint32(b[atMoved:]) != 0 || off == firstBlock && le.Uint64(b[atInLen:]) > 0 { // it may be the input
		if k.free == nil {
			k.free = k.mod.ExportedFunction("free")
		}
		k.stack[0] = off
		return k.free.CallWithStack(ctx, k.stack[:])
	}
	header := b[off-headerSize : off]
	head := b[atLists+4*(bits.Len32(le.Uint32(header))-1):]
	le.PutUint32(b[atFreed:], 1)
	le.PutUint32(header[8:], 0)
	le.PutUint32(header[12:], le.Uint32(head))
	le.PutUint32(head, uint32(off-headerSize))
	return nil
}
