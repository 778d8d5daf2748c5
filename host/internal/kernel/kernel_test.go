package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

type faultError struct {
	function uint32
	off, n   uint64
}

func (f faultError) Error() string {
	return fmt.Sprintf("%s at %d, %d bytes", FaultName(f.function), f.off, f.n)
}

// newKernel makes a kernel whose memory has at most so many pages.
func newKernel(t testing.TB, pages uint32) (*Kernel, api.Module) {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(pages))
	t.Cleanup(func() { rt.Close(ctx) })
	c, err := rt.CompileModule(ctx, Wasm)
	if err != nil {
		t.Fatal(err)
	}
	b := rt.NewHostModuleBuilder(HostModule)
	for _, f := range c.ImportedFunctions() {
		_, name, _ := f.Import()
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
			if name == FaultFunc {
				panic(faultError{uint32(stack[0]), stack[1], stack[2]})
			}
		}), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := rt.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	return New(m), m
}

func callFunc(t testing.TB, m api.Module, name string, params ...uint64) (uint64, error) {
	t.Helper()
	res, err := m.ExportedFunction(name).Call(context.Background(), params...)
	if err != nil || len(res) == 0 {
		return 0, err
	}
	if m.ExportedFunction(name).Definition().ResultTypes()[0] == api.ValueTypeI32 {
		return uint64(uint32(res[0])), nil // wazero leaves the upper half as it was
	}
	return res[0], nil
}

func mustCall(t testing.TB, m api.Module, name string, params ...uint64) uint64 {
	t.Helper()
	v, err := callFunc(t, m, name, params...)
	if err != nil {
		t.Fatalf("%s%v: %v", name, params, err)
	}
	return v
}

func TestWasmIsBuiltFromWat(t *testing.T) {
	out := filepath.Join(t.TempDir(), "kernel.wasm")
	if msg, err := exec.Command("wat2wasm", "kernel.wat", "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm (run make toolchains): %v\n%s", err, msg)
	}
	built, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, Wasm) {
		t.Error("kernel.wasm is not what kernel.wat gives: run go generate ./host/internal/kernel")
	}
}

func TestBlocks(t *testing.T) {
	k, m := newKernel(t, 100)
	ctx := t.Context()
	if err := k.Begin(ctx, []byte("the input")); err != nil {
		t.Fatal(err)
	}
	if n := mustCall(t, m, "input_length"); n != 9 {
		t.Errorf("input_length is %d", n)
	}
	in, ok := k.Block(mustCall(t, m, "input_offset"))
	if !ok || string(in) != "the input" {
		t.Errorf("the input block is %q", in)
	}
	if c := mustCall(t, m, "input_load_u8", 4); c != 'i' {
		t.Errorf("input_load_u8(4) is %d", c)
	}
	for _, off := range []uint64{9, 1 << 40, 1<<64 - 1} {
		if mustCall(t, m, "input_load_u8", off) != 0 || mustCall(t, m, "input_load_u64", off) != 0 {
			t.Errorf("loading from input offset %d is not 0", off)
		}
	}
	if v := mustCall(t, m, "input_load_u64", 2); v != 0 {
		t.Error("a load across the input's end is not 0")
	}
	a := mustCall(t, m, "alloc", 5)
	if mustCall(t, m, "length", a) != 5 || mustCall(t, m, "length_unsafe", a) != 5 || mustCall(t, m, "length", a+1) != 0 {
		t.Error("length is wrong")
	}
	if mustCall(t, m, "alloc", 0) != 0 || mustCall(t, m, "length", 0) != 0 {
		t.Error("no bytes are no block")
	}
	mustCall(t, m, "free", a)
	if mustCall(t, m, "length", a) != 0 {
		t.Error("a block that was freed has a length")
	}
	mustCall(t, m, "free", a)
	mustCall(t, m, "free", 12345)
	if b := mustCall(t, m, "alloc", 7); b != a {
		t.Error("a freed block is not used again")
	}
	if c := mustCall(t, m, "alloc", 7); c == a {
		t.Error("a block was given twice")
	}
}

func TestOutputAndFailure(t *testing.T) {
	k, m := newKernel(t, 100)
	ctx := t.Context()
	if err := k.Begin(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if out, n, _, failed := k.Outcome(100); failed || out != nil || n != 0 {
		t.Error("there is an output or a failure before there was one")
	}
	off, err := k.Put(ctx, []byte("some words"))
	if err != nil {
		t.Fatal(err)
	}
	mustCall(t, m, "output_set", off+5, 5)
	if out, n, _, _ := k.Outcome(100); string(out) != "words" || n != 5 {
		t.Errorf("the output is %q", out)
	}
	if out, n, _, _ := k.Outcome(4); out != nil || n != 5 {
		t.Errorf("an output over the limit is %q", out)
	}
	mustCall(t, m, "error_set", off)
	if _, _, msg, ok := k.Outcome(0); !ok || string(msg) != "some words" || mustCall(t, m, "error_get") != off {
		t.Errorf("the failure is %q", msg)
	}
	mustCall(t, m, "error_set", 99)
	if _, _, _, ok := k.Outcome(0); ok {
		t.Error("a failure comes from where no block is")
	}
	if err := k.Begin(ctx, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, n, _, ok := k.Outcome(0); ok || n != 0 {
		t.Error("output or failure outlive the call")
	}
	view, _ := m.Memory().Read(0, m.Memory().Size())
	if bytes.Contains(view, []byte("some words")) {
		t.Error("a byte of the call before is left")
	}
}

func TestFaults(t *testing.T) {
	k, m := newKernel(t, 4)
	if err := k.Begin(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		params []uint64
	}{
		{"load_u8", []uint64{0}},
		{"load_u8", []uint64{1023}},
		{"load_u8", []uint64{1040 + 16}},
		{"load_u8", []uint64{65536}},
		{"load_u64", []uint64{1040 + 9}},
		{"load_u64", []uint64{1<<64 - 1}},
		{"load_u64", []uint64{1<<32 + 2000}},
		{"store_u8", []uint64{64, 1}},
		{"store_u8", []uint64{1 << 33, 1}},
		{"store_u8", []uint64{1040 + 16, 1}},
		{"store_u64", []uint64{1040 + 9, 1}},
		{"store_u64", []uint64{1<<64 - 8, 1}},
		{"output_set", []uint64{2000, 1 << 32}},
		{"output_set", []uint64{2000, 1<<64 - 1}},
		{"output_set", []uint64{0, 1}},
		{"output_set", []uint64{1040, 17}},
		{"input_set", []uint64{1040 + 16, 1}},
		{"alloc", []uint64{4 << 16}},
		{"alloc", []uint64{1 << 32}},
		{"alloc", []uint64{1<<64 - 1}},
	} {
		_, err := callFunc(t, m, c.name, c.params...)
		var f faultError
		if !errors.As(err, &f) || FaultName(f.function) != c.name {
			t.Errorf("%s%v: %v", c.name, c.params, err)
		}
	}
	mustCall(t, m, "alloc", 1<<17)
	mustCall(t, m, "store_u8", 1<<17, 7)
	if err := k.Begin(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := callFunc(t, m, "load_u8", 1<<17); err == nil || mustCall(t, m, "memory_bytes") != 65536-1024 {
		t.Error("what one call grew by is there for the next")
	}
	if _, err := callFunc(t, m, "load_u8", 1024); err == nil {
		t.Error("without a block there is something to load")
	}
	mustCall(t, m, "alloc", 65536-1024-16)
	for _, at := range []uint64{1040, 65535} {
		mustCall(t, m, "store_u8", at, 7)
		if v := mustCall(t, m, "load_u8", at); v != 7 {
			t.Errorf("the byte at %d is %d", at, v)
		}
	}
	mustCall(t, m, "store_u64", 65528, 1<<63)
	if v := mustCall(t, m, "load_u64", 65528); v != 1<<63 {
		t.Errorf("the last word is %x", v)
	}
}

// TestNothingIsLeft has calls of all kinds, which the host begins by itself or through the kernel, and looks for what they leave.
func TestNothingIsLeft(t *testing.T) {
	k, m := newKernel(t, 100)
	ctx := t.Context()
	secret := bytes.Repeat([]byte("secret"), 10)
	plant := func(off uint64) {
		b, ok := k.Block(off)
		if !ok {
			t.Fatalf("no block at %d", off)
		}
		for i := 0; i+len(secret) <= len(b); i += len(secret) {
			copy(b[i:], secret)
		}
	}
	for _, input := range []int{0, 1, 100, 65536 - 1024 - 32, 65536 - 1024 - 31, 1 << 20} {
		for name, do := range map[string]func(){
			"nothing": func() {},
			"blocks":  func() { plant(mustCall(t, m, "alloc", 1000)) },
			"freed": func() {
				off := mustCall(t, m, "alloc", 1000)
				plant(off)
				mustCall(t, m, "free", off)
			},
			"grown":     func() { plant(mustCall(t, m, "alloc", 1<<18)) },
			"input set": func() { mustCall(t, m, "input_set", mustCall(t, m, "alloc", 100), 50) },
			"input freed": func() {
				if in := mustCall(t, m, "input_offset"); in != 0 {
					mustCall(t, m, "free", in)
				}
			},
			"put and freed": func() {
				off, err := k.Put(ctx, secret)
				if err != nil || k.Free(ctx, off) != nil {
					t.Fatal(err)
				}
				mustCall(t, m, "output_set", off, 10)
				mustCall(t, m, "error_set", off)
			},
		} {
			if err := k.Begin(ctx, bytes.Repeat([]byte{'i'}, input)); err != nil {
				t.Fatal(err)
			}
			do()
			if err := k.Begin(ctx, []byte("12345678")); err != nil {
				t.Fatal(err)
			}
			all, _ := m.Memory().Read(0, m.Memory().Size())
			if bytes.Contains(all, secret[:6]) || bytes.Contains(all, []byte("ii")) {
				t.Errorf("%s, %d bytes of input: something is left", name, input)
			}
			off := mustCall(t, m, "input_offset")
			out, n, _, failed := k.Outcome(100)
			if off != 1040 || mustCall(t, m, "input_length") != 8 || mustCall(t, m, "input_load_u64", 0) != 0x3837363534333231 ||
				mustCall(t, m, "alloc", 1) != 1072 || out != nil || n != 0 || failed || mustCall(t, m, "error_get") != 0 {
				t.Errorf("%s, %d bytes of input: the next call does not begin as the first", name, input)
			}
		}
	}
}

// FuzzKernel drives the kernel with random calls and checks that blocks that are in use never overlap, and that the host survives
// whatever a guest writes over the kernel's own structures.
func FuzzKernel(f *testing.F) {
	f.Add([]byte("\x00\x10\x00\x40\x01\x00\x00\x10\x02\x99"))
	f.Add(bytes.Repeat([]byte{0, 255, 1, 0}, 50))
	k, m := newKernel(f, 16)
	alloc, free := m.ExportedFunction("alloc"), m.ExportedFunction("free")
	f.Fuzz(func(t *testing.T, script []byte) {
		ctx := context.Background()
		if err := k.Begin(ctx, script[:min(len(script), 100)]); err != nil {
			t.Fatal(err)
		}
		type block struct{ off, n uint64 }
		var blocks []block
		wild := false
		for i := 0; i+1 < len(script) && i < 2000; i += 2 {
			arg := uint64(script[i+1])
			switch script[i] % 4 {
			case 0, 1:
				n := arg << (script[i] >> 4)
				var off uint64
				if script[i]&4 == 0 {
					if res, err := alloc.Call(ctx, n); err == nil {
						off = res[0]
					}
				} else {
					off, _ = k.Put(ctx, make([]byte, n))
				}
				if off == 0 {
					continue
				}
				for _, b := range blocks {
					if !wild && off < b.off+b.n && b.off < off+n {
						t.Fatalf("block %d+%d overlaps %d+%d", off, n, b.off, b.n)
					}
				}
				blocks = append(blocks, block{off, n})
			case 2:
				if len(blocks) > 0 {
					at := int(arg) % len(blocks)
					var err error
					if script[i]&4 == 0 {
						_, err = free.Call(ctx, blocks[at].off)
					} else {
						err = k.Free(ctx, blocks[at].off)
					}
					if err != nil && !wild {
						t.Fatal(err)
					}
					blocks = append(blocks[:at], blocks[at+1:]...)
				}
			case 3:
				if script[i]&4 != 0 { // a guest that writes over a header
					wild = true
					m.Memory().WriteUint32Le(1024+uint32(arg)*4, uint32(script[i])<<8|uint32(arg))
				}
			}
			k.Block(arg << (script[i] & 15))
			k.Outcome(1 << 20)
		}
	})
}
