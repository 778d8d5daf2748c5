// Package kernel is the memory through which a plugin and its host exchange blocks: Extism's kernel, written anew.
//
// The kernel is a Wasm module of its own (kernel.wat). One instance of it belongs to each plugin instance and is linked to it
// wasm to wasm under the name "extism:host/env", so that a guest's load_u64 is a direct call that never leaves compiled code.
// What needs Go the kernel imports from [HostModule] and exports again.
//
// Layout of its memory: 0..1023 is the kernel's own (the heads of the free lists), then blocks follow each other. A block is a
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
	mark       = 0x6b736174
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
	mod               api.Module
	mem               api.Memory
	begin, alloc      api.Function
	free, reset       api.Function // looked up when first needed
	out, outLen, fail api.Global
	top               api.Global
	stack             [1]uint64
}

// New wraps an instance of [Wasm].
func New(mod api.Module) *Kernel {
	return &Kernel{
		mod:    mod,
		mem:    mod.Memory(),
		begin:  mod.ExportedFunction("begin"),
		alloc:  mod.ExportedFunction("alloc"),
		out:    mod.ExportedGlobal("out"),
		outLen: mod.ExportedGlobal("out_len"),
		fail:   mod.ExportedGlobal("err"),
		top:    mod.ExportedGlobal("top"),
	}
}

// Module is the instance, to link to.
func (k *Kernel) Module() api.Module { return k.mod }

// Used is how much of the kernel's memory the call has used so far, in bytes, blocks that were freed included.
func (k *Kernel) Used() uint64 { return k.top.Get() }

// Begin forgets all blocks of the call before and makes input the input of the next.
func (k *Kernel) Begin(ctx context.Context, input []byte) error {
	k.stack[0] = uint64(len(input))
	if err := k.begin.CallWithStack(ctx, k.stack[:]); err != nil {
		return err
	}
	if len(input) > 0 {
		k.mem.Write(uint32(k.stack[0]), input)
	}
	return nil
}

// Reset forgets all blocks and leaves no byte of them.
func (k *Kernel) Reset(ctx context.Context) error {
	if k.reset == nil {
		k.reset = k.mod.ExportedFunction("reset")
	}
	return k.reset.CallWithStack(ctx, nil)
}

// Output is a view of what the guest set as its output, valid until the guest or the kernel runs again. It is nil if there is none.
func (k *Kernel) Output() []byte {
	off, n := k.out.Get(), k.outLen.Get()
	if n == 0 {
		return nil
	}
	b, ok := k.view(off, n)
	if !ok {
		return nil
	}
	return b
}

// OutputLen is the length of the output in bytes.
func (k *Kernel) OutputLen() uint64 { return k.outLen.Get() }

// Failure is the error message that the guest set; ok is false if it set none.
func (k *Kernel) Failure() (msg []byte, ok bool) {
	off := k.fail.Get()
	if off == 0 {
		return nil, false
	}
	b, _ := k.Block(off)
	return b, len(b) > 0
}

// SetFailure makes the block at off the error message, as error_set does.
func (k *Kernel) SetFailure(off uint64) {
	if g, ok := k.fail.(api.MutableGlobal); ok {
		g.Set(off)
	}
}

// Block is a view of the block at off, valid until the guest or the kernel runs again. Offset 0 is the empty block;
// ok is false if there is no block at off.
func (k *Kernel) Block(off uint64) (b []byte, ok bool) {
	if off == 0 {
		return nil, true
	}
	if off < heapBase+headerSize || off > uint64(k.mem.Size()) {
		return nil, false
	}
	used, _ := k.mem.ReadUint32Le(uint32(off) - headerSize + 4)
	m, _ := k.mem.ReadUint32Le(uint32(off) - headerSize + 8)
	if m != uint32(off)^mark {
		return nil, false
	}
	return k.view(off, uint64(used))
}

// View is a view of n bytes at off, which may lie anywhere among the blocks; ok is false if they do not.
func (k *Kernel) View(off, n uint64) (b []byte, ok bool) {
	if n == 0 {
		return nil, true
	}
	if off < heapBase {
		return nil, false
	}
	return k.view(off, n)
}

func (k *Kernel) view(off, n uint64) ([]byte, bool) {
	size := uint64(k.mem.Size())
	if off > size || n > size-off {
		return nil, false
	}
	return k.mem.Read(uint32(off), uint32(n))
}

// Put allocates a block that holds b and returns its offset; 0 if b is empty. The error is the fault that the kernel reported.
func (k *Kernel) Put(ctx context.Context, b []byte) (uint64, error) {
	if len(b) == 0 {
		return 0, nil
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
	if k.free == nil {
		k.free = k.mod.ExportedFunction("free")
	}
	k.stack[0] = off
	return k.free.CallWithStack(ctx, k.stack[:])
}
