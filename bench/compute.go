package main

import (
	"context"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	wasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/bench/measure"
)

// compute measures what interruption, ticks and the stack bound cost guests that compute: run time here over run time on wazero
// without anything, beside wazero with its own switch.
func compute(ctx context.Context, _ files) error {
	guests, err := measure.Guests(build)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-52s %10s %10s %10s\n", "run time of guests that compute, wazero alone = 1", "alone, ms", "taskhost", "own switch")
	var logs [2]float64
	for _, g := range guests {
		t, err := compareEngines(ctx, g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.Name, err)
		}
		ours, own := t[2]/t[0], t[1]/t[0]
		logs[0] += math.Log(ours)
		logs[1] += math.Log(own)
		fmt.Printf("%-52s %10s %10.2f %10.2f  at most 1.50\n", g.Name, measure.Number(t[0]/1e3), ours, own)
	}
	n := float64(len(guests))
	fmt.Printf("%-52s %10s %10.2f %10.2f  at most 1.20\n", "geometric mean", "", math.Exp(logs[0]/n), math.Exp(logs[1]/n))
	return nil
}

// compareEngines returns the run times on wazero alone, on wazero with its switch, and here.
func compareEngines(ctx context.Context, g measure.Guest) ([]float64, error) {
	var sides []func() error
	for _, interruptible := range []bool{false, true} {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(interruptible))
		defer r.Close(ctx)
		f, err := alone(ctx, r, g)
		if err != nil {
			return nil, err
		}
		sides = append(sides, f)
	}
	c := callCase{wasm: g.Wasm, function: g.Function}
	ours, done, err := c.ours(ctx, abi.IsolationReuse)
	if err != nil {
		return nil, err
	}
	defer done()
	return measure.Turns(append(sides, func() error { _, err := ours(); return err })...)
}

// alone instantiates the guest on a runtime of wazero and returns a call of it.
func alone(ctx context.Context, r wazero.Runtime, g measure.Guest) (func() error, error) {
	if _, err := wasi.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	m, err := r.InstantiateWithConfig(ctx, g.Wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime())
	if err != nil {
		return nil, err
	}
	f := m.ExportedFunction(g.Function)
	return func() error { return succeed(f.Call(ctx)) }, nil
}

// succeed is the error of a call whose result is not 0.
func succeed(results []uint64, err error) error {
	if err == nil && api.DecodeI32(results[0]) != 0 {
		return fmt.Errorf("the guest returned %d", api.DecodeI32(results[0]))
	}
	return err
}
