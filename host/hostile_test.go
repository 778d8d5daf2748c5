package host_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// numbers are the arguments of a hostile guest.
func numbers(args ...uint64) (b []byte) {
	for _, a := range args {
		b = binary.LittleEndian.AppendUint64(b, a)
	}
	return b
}

// farOffsets lie outside of the kernel's memory, or inside of it without being a block.
var farOffsets = []uint64{
	1, 8, 64, 1023, 1 << 16, 1<<16 - 1, 1<<16 + 1, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 16, 1<<32 - 1, 1 << 32, 1<<32 + 1040, 1<<32 + 1056,
	1<<63 - 1, 1 << 63, math.MaxUint64 - 15, math.MaxUint64 - 7, math.MaxUint64,
}

// TestKernelHostile calls every function of extism:host/env with offsets that lead nowhere: the documented value, or a trap that
// names the function.
func TestKernelHostile(t *testing.T) {
	// One page, so that the kernel's memory is as large for each call.
	h := newHost(t, host.Config{Logger: slog.New(&logBook{}), Limits: abi.Limits{KernelMemory: 1 << 16}})
	swap(t, h, "kernel-hostile", "")
	swapTo(t, h, "reused", guest(t, "kernel-hostile"), `{"taskhost": {"isolation": "reuse", "max_instances": 1}}`)
	const (
		value = "value" // the call succeeds, with 0 as the result where there is one
		trap  = "trap"
	)
	want := map[string]string{
		"free": value, "length": value, "length_unsafe": value, "input_load_u8": value, "input_load_u64": value, "error_set": value,
		"load_u64": trap, "store_u64": trap, "input_set": trap, "output_set": trap, "config_get": trap, "var_get": trap, "var_set": trap,
		"var_set_value": trap, "http_request": trap, "log_trace": trap, "log_debug": trap, "log_info": trap, "log_warn": trap, "log_error": trap,
	}
	functions := functionNames(info(t, h, "kernel-hostile"))
	for function := range want {
		if !slices.Contains(functions, function) {
			t.Errorf("the guest has no %s", function)
		}
	}
	for _, function := range functions {
		for _, plugin := range []string{"kernel-hostile", "reused"} {
			for _, off := range farOffsets {
				if off < 16 && strings.HasPrefix(function, "input_load") {
					continue // inside of the input
				}
				hostile(t, h, plugin, function, off, want[function] == trap, want[function] == value)
			}
			hostile(t, h, plugin, function, 0, false, false)
		}
	}
}

// TestHostileGuestsCallEverything checks that no function of the host that takes an offset is left out of the two tests.
func TestHostileGuestsCallEverything(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "kernel-hostile", "")
	swap(t, h, "user-hostile", "")
	exports := map[string][]string{abi.ModuleEnv: functionNames(info(t, h, "kernel-hostile")), abi.ModuleUser: functionNames(info(t, h, "user-hostile"))}
	for name, signature := range host.HostSignatures() {
		params, _, _ := strings.Cut(signature, " -> ")
		if !strings.Contains(params, "i64") {
			continue
		}
		module, function, _ := strings.Cut(name, ".")
		function = strings.TrimPrefix(function, "taskhost_")
		if !slices.ContainsFunc(exports[module], func(e string) bool { return e == function || strings.HasPrefix(e, function+"_") }) {
			t.Errorf("no hostile guest calls %s of %s", function, module)
		}
	}
}

// hostile makes one hostile call. Whatever comes of it, it must be clear, and the next call must work.
func hostile(t *testing.T, h *host.Host, plugin, function string, off uint64, mustTrap, mustPass bool) {
	t.Helper()
	name := strings.TrimSuffix(function, "_value")
	res, err := h.Run(t.Context(), abi.Call{Plugin: plugin, Function: function, Input: numbers(off, off)}, nil)
	switch code := abi.CodeOf(err); {
	case err == nil && mustTrap:
		if off != 1<<16-1 || name != "load_u8" && name != "store_u8" {
			t.Errorf("%s(%#x) succeeds", function, off)
		}
	case err != nil && mustPass:
		t.Errorf("%s(%#x): %v", function, off, err)
	case code == abi.CodeTrap && !strings.Contains(err.Error(), name+": "):
		t.Errorf("%s(%#x): the trap does not say where it was: %v", function, off, err)
	case function == "http_request" && off == 0: // the empty block is no JSON
		wantCode(t, err, abi.CodeInvalid, "http_request: ")
	case err != nil && code != abi.CodeTrap && code != abi.CodeKernelMemoryLimit:
		t.Errorf("%s(%#x): code %s: %v", function, off, code, err)
	case mustPass && len(res.Output) > 0 && binary.LittleEndian.Uint64(res.Output) != 0:
		t.Errorf("%s(%#x) gives %x, want 0", function, off, res.Output)
	}
	checkKernelWorks(t, h, plugin)
}

// record is one call of a script for kernel-hostile.
func record(function byte, a, b uint64) []byte {
	return append([]byte{function}, numbers(a, b)...)
}

// resultOf is an argument that stands for the result of an earlier record, plus something.
func resultOf(n, plus uint64) uint64 { return 1<<63 | plus<<32 | n }

// The numbers of functions in a script.
const (
	sAlloc, sFree, sLength, sLoad8, sLoad64, sStore8, sStore64 = 0, 1, 2, 4, 5, 6, 7
	sInputLength, sInputLoad64, sOutputSet                     = 9, 11, 12
)

// checkKernelWorks checks with a short script that the plugin's next call finds a kernel in order.
func checkKernelWorks(t testing.TB, h *host.Host, plugin string) {
	t.Helper()
	script := slices.Concat(
		record(sAlloc, 40, 0), record(sLength, resultOf(0, 0), 0), record(sStore64, resultOf(0, 8), 77), record(sLoad64, resultOf(0, 8), 0),
		record(sLoad64, resultOf(0, 16), 0), record(sInputLength, 0, 0), record(sFree, resultOf(0, 0), 0), record(sLength, resultOf(0, 0), 0),
	)
	res, err := h.Run(t.Context(), abi.Call{Plugin: plugin, Function: "script", Input: script}, nil)
	if err != nil {
		t.Fatalf("the next call of %s fails: %v", plugin, err)
	}
	if want := numbers(40, 0, 77, 0, uint64(len(script)), 0, 0); len(res.Output) != len(want)+8 || string(res.Output[8:]) != string(want) {
		t.Fatalf("the next call of %s gives %x, want the offset and %x", plugin, res.Output, want)
	}
}

// TestKernelHeaders writes over the headers of blocks, which is to harm nobody but the guest that does it.
func TestKernelHeaders(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "kernel-hostile", "")
	swapTo(t, h, "reused", guest(t, "kernel-hostile"), `{"taskhost": {"isolation": "reuse", "max_instances": 1}}`)
	evil := []uint64{0, 1, 15, 16, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1<<32 - 16, math.MaxUint64, 0x6b736174, 0x6b736174 << 32}
	for _, v := range evil {
		for _, field := range []uint64{0, 4, 8, 12} { // size, used, mark, link
			second := resultOf(0, 64+field) // in the header of the second block
			for _, freed := range []bool{false, true} {
				script := slices.Concat(record(sAlloc, 64, 0), record(sAlloc, 64, 0), record(sAlloc, 64, 0))
				if freed {
					script = append(script, record(sFree, resultOf(1, 0), 0)...)
				}
				script = slices.Concat(script,
					record(sStore64, second, v), record(sStore64, 1024+field, v), // that of the input, too
					record(sLength, resultOf(1, 0), 0), record(sFree, resultOf(1, 0), 0), record(sFree, 1040, 0),
					record(sAlloc, 64, 0), record(sAlloc, 64, 0), record(sAlloc, 100_000, 0), record(sOutputSet, resultOf(1, 0), 1<<20),
				)
				for _, plugin := range []string{"kernel-hostile", "reused"} {
					_, err := h.Run(t.Context(), abi.Call{Plugin: plugin, Function: "script", Input: script}, nil)
					if code := abi.CodeOf(err); err != nil && code != abi.CodeTrap && code != abi.CodeKernelMemoryLimit {
						t.Errorf("%#x written to byte %d of a header: %v", v, field, err)
					}
					checkKernelWorks(t, h, plugin)
				}
			}
		}
	}
}

// TestKernelOutsideOfBlocks checks that a guest cannot store where no block is, or load what lies there: it is nobody's to forget.
func TestKernelOutsideOfBlocks(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "kernel-hostile", "")
	for _, function := range []byte{sStore64, sStore8, sLoad64, sLoad8} {
		for _, off := range []uint64{resultOf(0, 48), 30_000, 65_000} {
			script := slices.Concat(record(sAlloc, 40, 0), record(function, off, 77))
			_, err := h.Run(t.Context(), abi.Call{Plugin: "kernel-hostile", Function: "script", Input: script}, nil)
			wantCode(t, err, abi.CodeTrap, "out of bounds")
			checkKernelWorks(t, h, "kernel-hostile")
		}
	}
}

// TestUserHostile calls every function of extism:host/user with offsets, pointers and lengths that lead nowhere.
func TestUserHostile(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "user-hostile", "")
	pointers := []uint64{1, 65535, 1 << 16, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 16, 1<<32 - 1}
	for _, function := range functionNames(info(t, h, "user-hostile")) {
		args := farOffsets
		if strings.HasSuffix(function, "_pointer") || strings.HasSuffix(function, "_length") {
			args = pointers
		}
		for _, a := range args {
			_, err := h.Run(t.Context(), abi.Call{Plugin: "user-hostile", Function: function, Input: numbers(a)}, nil)
			switch code := abi.CodeOf(err); {
			case function == "nothing" || function == "read_across" || function == "write_across":
				if err != nil {
					t.Errorf("%s: %v", function, err)
				}
			case strings.HasSuffix(function, "_pointer"), strings.HasSuffix(function, "_length"):
				if a < 1<<20 {
					continue // may well be within bounds
				}
				fallthrough
			default:
				if code != abi.CodeTrap {
					if (function == "read_offset" || function == "write_offset") && a > 1023 && a < 1<<16-16 {
						continue
					}
					t.Errorf("%s(%#x): want a trap, not %v", function, a, err)
				} else if !strings.Contains(err.Error(), "taskhost_") {
					t.Errorf("%s(%#x): the trap does not name the function: %v", function, a, err)
				}
			}
		}
	}
	run(t, h, "user-hostile:nothing", "")
	_, err := h.Run(t.Context(), abi.Call{Plugin: "user-hostile", Function: "progress"}, func(p abi.Progress) {
		t.Errorf("a hostile message was reported: %+v", p)
	})
	wantCode(t, err, abi.CodeTrap, "taskhost_progress: there is no block at offset", fmt.Sprint(uint64(math.MaxUint64-15)))
}
