package instrument_test

import (
	"context"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

var kernels = []struct {
	name string
	arg  uint64
}{{"sieve", 1000000}, {"matmul", 3}, {"fib", 27}, {"hash", 8000}, {"sortit", 100000}, {"vowels", 1000000},
	{"tree", 20000}, {"list", 2000000}}

// BenchmarkKernels runs the kernels of testdata/kernels.c as they are and with parts or all of the instrumentation, in
// turns, and reports the ratio of the medians.
func BenchmarkKernels(b *testing.B) {
	bin, err := os.ReadFile("testdata/kernels.wasm")
	if err != nil {
		b.Fatal(err)
	}
	modes := []struct {
		name string
		cfg  *instrument.Config
	}{
		{"plain", nil},
		{"ticks", &instrument.Config{WithoutStack: true}},
		{"stack", &instrument.Config{WithoutTicks: true}},
		{"all", &instrument.Config{}},
		{"noroll", &instrument.Config{WithoutUnrolling: true}},
	}
	ctx := context.Background()
	calls := make([]map[string]func(uint64) uint64, len(modes))
	for i, m := range modes {
		code := bin
		var res *instrument.Result
		if m.cfg != nil {
			if res, err = instrument.Rewrite(bin, *m.cfg); err != nil {
				b.Fatal(err)
			}
			code = res.Wasm
		}
		r := wazero.NewRuntime(ctx)
		defer r.Close(ctx)
		wasi_snapshot_preview1.MustInstantiate(ctx, r)
		mod, err := r.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions())
		if err != nil {
			b.Fatal(err)
		}
		var c *instrument.Control
		if res != nil {
			if c, err = res.Bind(mod); err != nil {
				b.Fatal(err)
			}
		}
		calls[i] = map[string]func(uint64) uint64{}
		for _, k := range kernels {
			f := mod.ExportedFunction(k.name)
			calls[i][k.name] = func(arg uint64) uint64 {
				if c != nil {
					c.Begin(instrument.Unlimited)
				}
				stack := []uint64{arg}
				if err := f.CallWithStack(ctx, stack); err != nil {
					b.Fatal(k.name, err)
				}
				return stack[0]
			}
		}
	}
	geo := make([]float64, len(modes))
	for _, k := range kernels {
		times := make([][]float64, len(modes))
		for range 15 {
			var want uint64
			for i := range modes {
				t0 := time.Now()
				got := calls[i][k.name](k.arg)
				times[i] = append(times[i], time.Since(t0).Seconds())
				if i == 0 {
					want = got
				} else if got != want {
					b.Fatalf("%s %s: %d, want %d", modes[i].name, k.name, got, want)
				}
			}
		}
		line := ""
		var base float64
		for i, m := range modes {
			slices.Sort(times[i])
			med := times[i][len(times[i])/2]
			if i == 0 {
				base = med
				continue
			}
			geo[i] += math.Log(med / base)
			line += "  " + m.name + " " + ratio(med/base)
		}
		b.Logf("%-8s %7.2f ms%s", k.name, base*1e3, line)
	}
	for i, m := range modes[1:] {
		b.Logf("geometric mean %s %s", m.name, ratio(math.Exp(geo[i+1]/float64(len(kernels)))))
	}
}

func ratio(x float64) string {
	return string([]byte{byte('0' + int(x)), '.', byte('0' + int(x*10)%10), byte('0' + int(x*100)%10)})
}
