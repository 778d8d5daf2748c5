package host

import (
	"encoding/binary"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The engine tells of a call that failed no more than the names of its innermost thirty functions. What it knows besides, addresses in
// machine code, this file takes out of its values; where these are not as expected, nothing is found, and the names have to do.

// native is the machine code of a module.
type native struct {
	start, size uintptr
	functions   []int // where each function that the module defines begins
}

// nativeOf is the machine code of the module that a function belongs to: callEngine.parent (moduleEngine).parent (compiledModule). It is
// valid as long as the module is open.
func nativeOf(f api.Function) (n native, ok bool) {
	defer func() {
		if recover() != nil { // the engine is another one
			n, ok = native{}, false
		}
	}()
	return nativeModule(reflect.ValueOf(f).Elem().FieldByName("parent").Elem().FieldByName("parent").Elem())
}

// nativeModule reads an engine's compiledModule.
func nativeModule(module reflect.Value) (n native, ok bool) {
	code, offsets := module.FieldByName("executable"), module.FieldByName("functionOffsets")
	if code.Kind() != reflect.Slice || code.Type().Elem().Kind() != reflect.Uint8 || code.Len() == 0 || offsets.Type() != reflect.TypeFor[[]int]() {
		return n, false
	}
	n.start, n.size = uintptr(code.UnsafePointer()), uintptr(code.Len())
	n.functions = unsafe.Slice((*int)(offsets.UnsafePointer()), offsets.Len())
	return n, true
}

// find tells which function has an address, and how far from its beginning that is.
func (n *native) find(pc uintptr) (function int, offset uintptr, ok bool) {
	if pc <= n.start || pc > n.start+n.size || len(n.functions) == 0 {
		return 0, 0, false
	}
	at := int(pc-n.start) - 1 // a return address is behind the call
	k, exact := slices.BinarySearch(n.functions, at)
	if !exact {
		k--
	}
	if k < 0 {
		return 0, 0, false
	}
	return k, uintptr(at-n.functions[k]) + 1, true
}

// length is how long a function is, with what fills it up; of the last one it is not known.
func (n *native) length(function int) int {
	if function+1 < len(n.functions) {
		return n.functions[function+1] - n.functions[function]
	}
	return 0
}

// stackField is where the engine keeps the native stack of a function that can be called.
type stackField struct {
	kind   uintptr // the type that it belongs to; 0: the engine is another one
	offset uintptr
}

var nativeStackField atomic.Pointer[stackField]

// interfaceWords are the two words of an api.Function: its type, and where it is.
func interfaceWords(f *api.Function) *[2]unsafe.Pointer {
	return (*[2]unsafe.Pointer)(unsafe.Pointer(f))
}

// stackSize is how large the native stack of a function has become, in bytes; 0 when that cannot be told. It takes a few nanoseconds.
func stackSize(f api.Function) int {
	words := interfaceWords(&f)
	field := nativeStackField.Load()
	if field == nil {
		field = &stackField{}
		if t := reflect.TypeOf(f); t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			if s, ok := t.Elem().FieldByName("stack"); ok && s.Type == reflect.TypeFor[[]byte]() {
				field = &stackField{uintptr(words[0]), s.Offset}
			}
		}
		nativeStackField.Store(field)
	}
	if field.kind != uintptr(words[0]) {
		return 0
	}
	return len(*(*[]byte)(unsafe.Add(words[1], field.offset)))
}

// maxNative bounds how many frames are read of a stack: more than one of MaxStackBytes has.
const maxNative = 1 << 20

// nativeStack are the return addresses of a call that failed, the innermost first. The engine must not have been entered through the
// function again.
func nativeStack(f api.Function) (stack []uintptr) {
	defer func() {
		if recover() != nil {
			stack = nil
		}
	}()
	engine := reflect.ValueOf(f).Elem()
	state := engine.FieldByName("execCtx")
	memory := engine.FieldByName("stack")
	low := uintptr(memory.UnsafePointer())
	top := uintptr(engine.FieldByName("stackTop").Uint())
	sp := uintptr(state.FieldByName("stackPointerBeforeGoCall").UnsafePointer())
	fp := uintptr(state.FieldByName("framePointerBeforeGoCall").Uint())
	first := uintptr(state.FieldByName("goCallReturnAddress").UnsafePointer())
	if memory.Type() != reflect.TypeFor[[]byte]() || sp == 0 || first == 0 || top < low || top > low+uintptr(memory.Len()) {
		return nil
	}
	bytes := unsafe.Slice((*byte)(memory.UnsafePointer()), memory.Len())[:top-low]
	stack = []uintptr{first}
	switch runtime.GOARCH {
	case "amd64":
		stack = unwindAMD64(stack, bytes, low, fp)
	case "arm64":
		stack = unwindARM64(stack, bytes, low, sp)
	default:
		return nil
	}
	runtime.KeepAlive(f)
	if len(stack) < 2 {
		return nil
	}
	return stack[:len(stack)-1] // the outermost is the engine's way in
}

// unwindAMD64 follows the frame pointers, as the engine does: a frame begins with the caller's, and its return address is behind that.
func unwindAMD64(stack []uintptr, memory []byte, low, fp uintptr) []uintptr {
	for at := fp; len(stack) < maxNative && at >= low && at-low+16 <= uintptr(len(memory)); {
		i := at - low
		next := uintptr(binary.LittleEndian.Uint64(memory[i:]))
		stack = append(stack, uintptr(binary.LittleEndian.Uint64(memory[i+8:])))
		if next <= at {
			break
		}
		at = next
	}
	return stack
}

// unwindARM64 goes from frame to frame by their sizes: a frame begins with its size, and behind it are the return address and the size of
// the arguments.
func unwindARM64(stack []uintptr, memory []byte, low, sp uintptr) []uintptr {
	for at := sp; len(stack) < maxNative && at >= low && at-low+8 <= uintptr(len(memory)); {
		i := uint64(at - low)
		frame := binary.LittleEndian.Uint64(memory[i:])
		if frame > uint64(len(memory)) || i+frame+32 > uint64(len(memory)) {
			break
		}
		i += frame + 16
		stack = append(stack, uintptr(binary.LittleEndian.Uint64(memory[i:])))
		arguments := binary.LittleEndian.Uint64(memory[i+8:])
		if arguments > uint64(len(memory)) {
			break
		}
		at = low + uintptr(i+16+arguments)
	}
	return stack
}

// sourceMap tells where machine code comes from.
type sourceMap struct {
	native
	executable []uintptr // addresses, ascending
	binary     []uint64  // and for each the offset in the code section
}

// sourceMapOf reads that of a module, which must be the only one of its runtime, compiled with debug information.
func sourceMapOf(c wazero.CompiledModule) (m sourceMap, ok bool) {
	defer func() {
		if recover() != nil {
			m, ok = sourceMap{}, false
		}
	}()
	modules := reflect.ValueOf(c).Elem().FieldByName("compiledEngine").Elem().Elem().FieldByName("compiledModules")
	for iter := modules.MapRange(); iter.Next(); {
		module := iter.Value().Elem().FieldByName("compiledModule").Elem()
		offsets := module.FieldByName("sourceMap")
		executable, binary := offsets.FieldByName("executableOffsets"), offsets.FieldByName("wasmBinaryOffsets")
		if executable.Len() == 0 {
			continue
		}
		if executable.Type() != reflect.TypeFor[[]uintptr]() || binary.Type() != reflect.TypeFor[[]uint64]() || executable.Len() != binary.Len() {
			return m, false
		}
		m.executable = unsafe.Slice((*uintptr)(executable.UnsafePointer()), executable.Len())
		m.binary = unsafe.Slice((*uint64)(binary.UnsafePointer()), binary.Len())
		m.native, ok = nativeModule(module)
		return m, ok
	}
	return m, false
}

// at is the offset in the code section of a place in a function's machine code.
func (m *sourceMap) at(function int, offset uintptr) (uint32, bool) {
	if function >= len(m.functions) {
		return 0, false
	}
	begin := m.start + uintptr(m.functions[function])
	n, _ := slices.BinarySearch(m.executable, begin+offset) // the last that is before it
	if n--; n < 0 || m.executable[n] < begin {
		return 0, false
	}
	return uint32(m.binary[n]), true
}
