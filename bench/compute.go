package main

import (
	"context"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/taskhost/taskhost/abi"
)

// guest is a function that computes: it takes nothing, does the same work in every call, and returns 0.
type guest struct {
	name     string
	wasm     []byte
	function string
}

// guests are the kernels, each some lines of C, and the programs.
func guests(files map[string][]byte) []guest {
	var all []guest
	for _, name := range []string{"sieve", "matrix", "fib", "hash", "sort", "vowels", "tree", "sum"} {
		all = append(all, guest{name, files["kernels"], name})
	}
	for _, p := range []guest{
		{name: "JSON in Go", wasm: files["json"]},
		{name: "Markdown in Go (goldmark)", wasm: files["markdown"]},
		{name: "jq in Go (gojq)", wasm: files["gojq"]},
		{name: "SQLite in C", wasm: files["sqlite"]},
		{name: "zstd in C", wasm: files["zstd"]},
	} {
		p.function = "run"
		all = append(all, p)
	}
	return all
}

// compute measures what interruption, ticks and the stack bound cost guests that compute: run time here over run time on wazero
// without anything, beside wazero with its own switch.
func compute(ctx context.Context, files map[string][]byte) error {
	all := guests(files)
	fmt.Printf("\n%-52s %10s %10s %10s\n", "run time of guests that compute, wazero alone = 1", "alone, ms", "taskhost", "own switch")
	var logs [2]float64
	for _, g := range all {
		t, err := g.compare(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		ours, own := t[2]/t[0], t[1]/t[0]
		logs[0] += math.Log(ours)
		logs[1] += math.Log(own)
		fmt.Printf("%-52s %10s %10.2f %10.2f  at most 1.50\n", g.name, number(t[0]/1e3), ours, own)
	}
	n := float64(len(all))
	fmt.Printf("%-52s %10s %10.2f %10.2f  at most 1.20\n", "geometric mean", "", math.Exp(logs[0]/n), math.Exp(logs[1]/n))
	return nil
}

// compare returns the run times on wazero alone, on wazero with its switch, and here.
func (g guest) compare(ctx context.Context) ([]float64, error) {
	var sides []func() error
	for _, interruptible := range []bool{false, true} {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(interruptible))
		defer r.Close(ctx)
		f, err := g.alone(ctx, r)
		if err != nil {
			return nil, err
		}
		sides = append(sides, f)
	}
	c := callCase{wasm: g.wasm, function: g.function}
	ours, done, err := c.ours(ctx, abi.IsolationReuse)
	if err != nil {
		return nil, err
	}
	defer done()
	return turns(append(sides, func() error { _, err := ours(); return err })...)
}

// alone instantiates the guest on a runtime of wazero and returns a call of it.
func (g guest) alone(ctx context.Context, r wazero.Runtime) (func() error, error) {
	if _, err := wasi.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	m, err := r.InstantiateWithConfig(ctx, g.wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime())
	if err != nil {
		return nil, err
	}
	f := m.ExportedFunction(g.function)
	return func() error { return succeed(f.Call(ctx)) }, nil
}

// succeed is the error of a call whose result is not 0.
func succeed(results []uint64, err error) error {
	if err == nil && api.DecodeI32(results[0]) != 0 {
		return fmt.Errorf("the guest returned %d", api.DecodeI32(results[0]))
	}
	return err
}
