package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/builtin"
)

// loading measures how long a large Go plugin takes to load: without a cache, beside wazero's compiler alone, and with a warm one.
func loading(ctx context.Context, wasm files) error {
	plugin := wasm["upper-go"]
	cold, err := medians(7,
		func() (time.Duration, error) { return coldSwap(ctx, host.Source{Wasm: plugin}) },
		func() (time.Duration, error) { return compileAlone(ctx, plugin) },
	)
	if err != nil {
		return err
	}
	cache, err := os.MkdirTemp("", "taskhost-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	if _, err := start(ctx, plugin, cache); err != nil { // fills it
		return err
	}
	warm, err := medians(21, func() (time.Duration, error) { return start(ctx, plugin, cache) })
	if err != nil {
		return err
	}
	const row = "%-52s %10s %10s %10s  %s\n"
	fmt.Printf("\n"+row, fmt.Sprintf("loading a Go plugin of %.1f MB, ms", float64(len(plugin))/1e6), "taskhost", "wazero", "ratio", "expected")
	fmt.Printf(row, "without a cache: Swap; CompileModule alone", ms(cold[0]), ms(cold[1]), fmt.Sprintf("%.2f", cold[0].Seconds()/cold[1].Seconds()), "")
	fmt.Printf(row, "with a warm cache: New and Swap", ms(warm[0]), "", "", "at most 30")
	return passShare(ctx)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1e3) }

// medians lets the sides, which take their own times, take n turns each.
func medians(n int, sides ...func() (time.Duration, error)) ([]time.Duration, error) {
	times := make([][]time.Duration, len(sides))
	for range n {
		for i, f := range sides {
			d, err := f()
			if err != nil {
				return nil, err
			}
			times[i] = append(times[i], d)
		}
	}
	medians := make([]time.Duration, len(sides))
	for i, t := range times {
		slices.Sort(t)
		medians[i] = t[n/2]
	}
	return medians, nil
}

// coldSwap is the time of a Swap on a new host that has no cache.
func coldSwap(ctx context.Context, src host.Source) (time.Duration, error) {
	h, err := host.New(ctx, host.Config{CacheDir: "off", Interpreters: builtin.Interpreters()})
	if err != nil {
		return 0, err
	}
	defer h.Close(ctx)
	began := time.Now()
	_, err = h.Swap(ctx, "p", src)
	return time.Since(began), err
}

// start is the time until a new host has the plugin ready.
func start(ctx context.Context, wasm []byte, cache string) (time.Duration, error) {
	began := time.Now()
	h, err := host.New(ctx, host.Config{CacheDir: cache})
	if err != nil {
		return 0, err
	}
	defer h.Close(ctx)
	_, err = h.Swap(ctx, "p", host.Source{Wasm: wasm})
	return time.Since(began), err
}

// compileAlone is the time of wazero's compiler, on as many cores as the host gives it.
func compileAlone(ctx context.Context, wasm []byte) (time.Duration, error) {
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	began := time.Now()
	_, err := r.CompileModule(experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)), wasm)
	return time.Since(began), err
}

// passShare prints what rewriting takes, which only a benchmark of that package can see.
func passShare(ctx context.Context) error {
	test := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkPass$", "-benchtime", "7x", "./host/internal/instrument")
	test.Dir = filepath.Clean("..")
	out, err := test.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "BenchmarkPass") {
			fmt.Print(line)
		}
	}
	return nil
}
