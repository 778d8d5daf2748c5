// Package wasmtest makes WebAssembly modules of random bytes, for tests: binaryen's wasm-opt translates whatever bytes into a valid
// module. Such a module imports functions that log numbers, computes without much sense, and ends after some steps.
package wasmtest

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/taskhost/taskhost/host/internal/wasm"
)

// Log is the name of the module whose functions log-i32, log-i64, log-f32, log-f64 and log-v128 the modules import.
const Log = "fuzzing-support"

// Bytes are the random bytes of a seed.
func Bytes(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, 2+16+r.IntN(1<<(7+r.IntN(7))))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Module translates bytes into a module. The first two choose which features it may use, how it is optimised, and whether it begins with one
// of the initial modules, files, whose code is changed then; at most three are of use. The same bytes give the same module. Engines may
// refuse one with reference types, for wasm-opt's idea of these is older than the standard.
func Module(tb testing.TB, data []byte, initial ...string) []byte {
	tb.Helper()
	if _, err := exec.LookPath("wasm-opt"); err != nil {
		tb.Fatal("wasm-opt is missing: run make toolchains, or install the package binaryen")
	}
	dir, err := os.MkdirTemp("", "wasmtest")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "bytes"), filepath.Join(dir, "module.wasm")
	choice, body := split(data)
	if err := os.WriteFile(in, body, 0o600); err != nil {
		tb.Fatal(err)
	}
	args := []string{"--quiet", "--translate-to-fuzz", in, "--output", out, "--mvp-features"}
	for _, f := range choice.features() {
		args = append(args, "--enable-"+f)
	}
	if n := choice.initial(); n > 0 && n <= len(initial) {
		args = append(args, "--initial-fuzz", initial[n-1], "--enable-bulk-memory", "--enable-tail-call")
	}
	cmd := exec.CommandContext(tb.Context(), "wasm-opt", append(args, choice.passes()...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd, err, said)
	}
	bin, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	return bin
}

// choice is what the first two bytes say.
type choice uint16

// split takes the choice off.
func split(data []byte) (choice, []byte) {
	var head [2]byte
	n := copy(head[:], data)
	body := data[n:]
	if len(body) == 0 {
		body = []byte{0} // wasm-opt wants one
	}
	return choice(binary.LittleEndian.Uint16(head[:])), body
}

// Restorable is the bytes with another choice: without vectors, references and shared memories, which keep a module from being put back.
func Restorable(data []byte) []byte {
	c, body := split(data)
	c = c&^vectors | 3<<threadsAt | 7<<referencesAt
	return append(binary.LittleEndian.AppendUint16(nil, uint16(c)), body...)
}

// References tells whether the module of these bytes may hold reference types.
func References(data []byte) bool {
	c, _ := split(data)
	return c.references()
}

// Where some parts of the choice are.
const (
	vectors      = 1 << 2
	threadsAt    = 6
	referencesAt = 13
)

// References and threads are rare: with the former many modules are refused, with the latter memories are shared.
func (c choice) references() bool { return c>>referencesAt == 0 }
func (c choice) threads() bool    { return c>>threadsAt&3 == 0 }

// initial is the number of the initial module, from 1; 0 is none.
func (c choice) initial() int { return int(c >> 11 & 3) }

func (c choice) features() []string {
	list := []string{"mutable-globals", "sign-ext", "nontrapping-float-to-int"}
	for i, f := range []string{"multivalue", "bulk-memory", "simd", "tail-call", "extended-const", "exception-handling"} {
		if c>>i&1 == 1 {
			list = append(list, f)
		}
	}
	if c.threads() {
		list = append(list, "threads")
	}
	if c.references() {
		list = append(list, "reference-types")
	}
	return list
}

// passes change the shape of the code: flat code holds no nested expressions, relooped code other blocks and loops.
func (c choice) passes() []string {
	if c.references() {
		return nil // which --flatten does not know
	}
	return [][]string{{}, {}, {"-O1"}, {"-O3"}, {"--flatten", "--rereloop"}, {"--flatten", "--rereloop", "-O1"}, {"-Os"}, {"--flatten"}}[c>>8&7]
}

// Initializer is the name of the exported function that sets the number of steps that are left.
const Initializer = "hangLimitInitializer"

// Steps is the index of the global that holds how many steps are left: entries of functions and rounds of loops. Functions return when
// it is zero.
func Steps(m *wasm.Module) (global uint32, ok bool) {
	e, ok := m.Export(Initializer)
	if !ok {
		return 0, false
	}
	r := m.Instrs(int(e.Index)-m.ImportCount(wasm.KindFunc), nil)
	for in := r.Next(); in != nil; in = r.Next() {
		if in.Op == wasm.OpGlobalSet {
			return in.X, true
		}
	}
	return 0, false
}
