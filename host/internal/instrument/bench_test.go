package instrument_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/taskhost/taskhost/host/internal/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

var kernels = []struct {
	name string
	arg  uint64
}{{"sieve", 1000000}, {"matmul", 3}, {"fib", 27}, {"hash", 8000}, {"sortit", 100000}, {"vowels", 1000000},
	{"tree", 20000}, {"list", 2000000}}

// BenchmarkKernels runs the kernels of testdata/kernels.c as they are and with parts or all of the instrumentation, in
// turns, and reports the ratio of the medians and of the shortest runs.
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
	geo := make([][2]float64, len(modes))
	for _, k := range kernels {
		times := make([][]float64, len(modes))
		for range 25 {
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
		var median, shortest float64
		for i, m := range modes {
			slices.Sort(times[i])
			med, low := times[i][len(times[i])/2], times[i][0]
			if i == 0 {
				median, shortest = med, low
				continue
			}
			geo[i][0] += math.Log(med / median)
			geo[i][1] += math.Log(low / shortest)
			line += fmt.Sprintf("  %s %.2f %.2f", m.name, med/median, low/shortest)
		}
		b.Logf("%-8s %7.2f ms%s", k.name, median*1e3, line)
	}
	n := float64(len(kernels))
	for i, m := range modes[1:] {
		b.Logf("geometric mean %s %.3f %.3f", m.name, math.Exp(geo[i+1][0]/n), math.Exp(geo[i+1][1]/n))
	}
}

// BenchmarkPass rewrites a large Go plugin and compiles it as it is, on all cores as the host does, and reports the medians and what
// part of compiling rewriting is.
func BenchmarkPass(b *testing.B) {
	bin, err := os.ReadFile("../../../build/testdata/upper-go.wasm")
	if err != nil {
		b.Fatalf("%v; run make plugins first", err)
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0))
	var pass, compile []float64
	for b.Loop() {
		began := time.Now()
		if _, err := instrument.Rewrite(bin, instrument.Config{}); err != nil {
			b.Fatal(err)
		}
		pass = append(pass, time.Since(began).Seconds()*1e3)

		r := wazero.NewRuntime(ctx)
		began = time.Now()
		if _, err := r.CompileModule(ctx, bin); err != nil {
			b.Fatal(err)
		}
		compile = append(compile, time.Since(began).Seconds()*1e3)
		r.Close(ctx)
	}
	slices.Sort(pass)
	slices.Sort(compile)
	p, c := pass[len(pass)/2], compile[len(compile)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(p, "pass-ms")
	b.ReportMetric(c, "compile-ms")
	b.ReportMetric(100*p/c, "pass/compile-%")
}
