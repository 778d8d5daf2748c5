// Package instrument rewrites a core WebAssembly module when it is loaded, so that a call into it can be interrupted,
// metered and bounded, leaves compiled code regularly, and can be undone in place.
//
// The rewritten module computes what the original computes. What it has more is:
//
//   - Ticks. Loop headers, entries of functions, and in large bodies the places where branches land, take from a counter
//     the number of instructions that can follow before the next such place: an upper bound of the work, whatever path
//     control takes. Small functions that cannot recurse are charged where they are called. Bulk operations are charged
//     by their length, and large ones on the memory are done in pieces. When a slice of ticks is used up, the next loop
//     header or entry leaves to Go once (so that the scheduler and the garbage collector are served), looks at the
//     interrupt flag, and goes on with the next slice. Equal input on an equal state takes equally many ticks, whatever
//     the size of a slice.
//   - Fuel. Slices are cut from a budget; when it is used up the call ends in a trap.
//   - A stack bound. Functions that can recurse, and those that call them, count the bytes of native stack they take,
//     from an estimate that is too high for what compilers produce; below zero the call ends in a trap. The count is
//     never restored on the way out: whoever calls sets it, so every way out of a function is right by construction.
//   - A virtual memory size. [ExportHidden] is a number of pages that exist in the engine's memory but not for the
//     guest: memory.size subtracts it and memory.grow takes from it first. It is zero until somebody hides pages, so
//     sizes, failures and the declared maximum are exactly those of the original. Bounds checks are the engine's: an
//     access that ends within hidden pages does not trap, it sees what the host left there (zeros).
//   - All mutable globals exported, so that they can be saved and put back.
//   - Small innermost loops written out two or four times, so that a check serves as many rounds.
//   - The start function exported as [ExportStart] and not run at instantiation, where nothing could stop it: whoever
//     instantiates the module must call it before anything else.
//
// All traps of this package are the instruction unreachable; [ExportReason] tells which it was. Function indices do
// not change and the name section is kept, so traps name the guest's functions. Debug information (DWARF, source
// maps) holds offsets into the code, which change: it is dropped, and [Cut] finds them again when somebody asks. A trap loses the ticks used since the last slice
// began in the innermost call-free loop.
//
// Shared memories become memories that are not: an instance has one thread, which memory.atomic.wait would block for ever.
//
// What it does not do: a call of an imported function is the host's to end. Imported functions are taken not to call back
// into the module on the same stack.
package instrument

import (
	"fmt"
	"strings"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// Prefix begins every name this package adds to a module's exports. A module that exports such a name is refused.
const Prefix = "taskhost:internal/"

// The exports that are added. All but ExportYield and ExportStart are mutable globals; [Control] wraps them.
const (
	ExportTicks  = Prefix + "ticks"  // i64, what is left of the slice; below zero the next check leaves to Go
	ExportFuel   = Prefix + "fuel"   // i64, what is left of the budget without the slice
	ExportSlice  = Prefix + "slice"  // i64, the size of the slices to come
	ExportFlag   = Prefix + "flag"   // i32, not zero: end the call at the next check that leaves to Go
	ExportReason = Prefix + "reason" // i32, a Reason
	ExportStack  = Prefix + "stack"  // i64, bytes of native stack left
	ExportHidden = Prefix + "hidden" // i32, pages of the engine's memory that do not exist for the guest
	ExportYield  = Prefix + "yield"  // table of one funcref; see [YieldModule]
	ExportStart  = Prefix + "start"  // function without parameters or results, when the module has a start function
)

// Config says what to put in. The zero value puts in everything.
type Config struct {
	// Slice is the number of ticks between two visits to Go, until [Control.SetSlice] changes it. Default 2**16, which is some 10 to
	// 30 µs of most code. A tick is at most one instruction or eight bytes of a bulk operation.
	Slice int64
	// StackBytes bounds the native stack of a call. Default 8 MiB.
	StackBytes int64

	// TableElements bounds the tables of an instance, which live in the host's own memory: the module's tables
	// together may have so many elements. Default 2**20.
	TableElements int64

	// Work bounds what one function costs the engine's compiler, in units of some 8 ns, and with WorkPerByte for each byte of code what all
	// functions together do. The defaults, 1e9 and 500, are three times what the largest functions and programs need that we
	// know (Ruby, FFmpeg, DuckDB, esbuild), and some ten seconds for a small module.
	Work, WorkPerByte float64

	// The parts to leave out; for measuring.
	WithoutTicks         bool
	WithoutStack         bool
	WithoutVirtualMemory bool
	WithoutUnrolling     bool
}

// The defaults of [Config].
const (
	DefaultSlice         = 1 << 16
	DefaultStackBytes    = 8 << 20
	DefaultTableElements = 1 << 20
	DefaultWork          = 1e9
	DefaultWorkPerByte   = 500
)

func (c Config) withDefaults() Config {
	if c.Slice == 0 {
		c.Slice = DefaultSlice
	}
	if c.StackBytes == 0 {
		c.StackBytes = DefaultStackBytes
	}
	if c.TableElements == 0 {
		c.TableElements = DefaultTableElements
	}
	if c.Work == 0 {
		c.Work = DefaultWork
	}
	if c.WorkPerByte == 0 {
		c.WorkPerByte = DefaultWorkPerByte
	}
	return c
}

func (c Config) validate() error {
	if c.Slice < 1 || c.Slice > 1<<40 {
		return fmt.Errorf("instrument: slice of %d ticks: must be within 1 and 2**40", c.Slice)
	}
	if c.StackBytes < 4096 || c.StackBytes > 1<<32 {
		return fmt.Errorf("instrument: stack of %d bytes: must be within 4096 and 2**32", c.StackBytes)
	}
	if c.TableElements < 1 || c.TableElements > 1<<27 {
		return fmt.Errorf("instrument: tables of %d elements: must be within 1 and 2**27", c.TableElements)
	}
	return nil
}

// Result is a rewritten module and what the host has to know about it.
type Result struct {
	// Wasm is the rewritten binary.
	Wasm []byte
	// Module is the original, decoded; for inspection. It shares memory with the input of Rewrite. It is nil in what
	// Decode returns.
	Module *wasm.Module
	// Globals are the mutable globals the guest defines, in the order of their indices.
	Globals []Global
	// HasStart says that ExportStart exists and must be called right after instantiation.
	HasStart bool
	// VirtualMemory says that ExportHidden exists. It does not for modules without a memory of their own.
	VirtualMemory bool
	// Restorable says that memory and globals are all the state an instance of the module has, so that putting them
	// back puts the instance back. Reasons says why it is not so, for people to read.
	Restorable bool
	Reasons    []string

	slice, stack int64
}

// Global is a mutable global of the guest.
type Global struct {
	Name  string // of its export
	Index uint32 // in the module
	Type  wasm.ValType
}

// Rewrite instruments a module. The input is not changed; it must not change as long as the result is in use. Whether
// the input is valid is for the engine to say about the result: a module with ill-typed instructions is rewritten into
// one with ill-typed instructions.
func Rewrite(bin []byte, cfg Config) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m, err := wasm.Decode(bin)
	if err != nil {
		return nil, err
	}
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, Prefix) {
			return nil, fmt.Errorf("instrument: the module exports %q: names that begin with %q are reserved", e.Name, Prefix)
		}
	}
	w, err := newRewriter(m, cfg)
	if err != nil {
		return nil, err
	}
	return w.rewrite()
}
