package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// load keeps one core busy until the context ends.
type load struct {
	name string
	run  func(context.Context)
}

// latencies measures, while all cores are busy, how long a cancel takes, how long a garbage collection, and how long goroutines wait:
// beside guests, and beside loops in Go for comparison.
func latencies(ctx context.Context, wasm files) error {
	nested, done, err := callCase{wasm: wasm["hostile/spin"]}.newHost(ctx, abi.IsolationPristine)
	if err != nil {
		return err
	}
	defer done()
	pages, done, err := callCase{wasm: wasm["guests/pages"]}.newHost(ctx, abi.IsolationPristine)
	if err != nil {
		return err
	}
	defer done()
	for _, l := range []load{
		{"guests with loops in loops", guestLoad(nested, "nested")},
		{"guests that miss the caches in each round", guestLoad(pages, "walks")},
		{"guests that touch a new page in each round", guestLoad(pages, "walk")},
		{"loops in Go, without guests", goLoad},
	} {
		if err := beside(ctx, nested, l); err != nil {
			return fmt.Errorf("beside %s: %w", l.name, err)
		}
	}
	return nil
}

// guestLoad calls a function again and again.
func guestLoad(h *host.Host, function string) func(context.Context) {
	return func(ctx context.Context) {
		for ctx.Err() == nil {
			_, _ = h.Run(ctx, abi.Call{Plugin: "p", Function: function}, nil)
		}
	}
}

func goLoad(ctx context.Context) {
	var over atomic.Bool
	context.AfterFunc(ctx, func() { over.Store(true) })
	for !over.Load() {
	}
}

// beside measures beside one load, and prints.
func beside(ctx context.Context, h *host.Host, l load) error {
	busy, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() { l.run(busy) })
	}
	defer group.Wait()
	defer stop()
	time.Sleep(50 * time.Millisecond) // all of them are at it

	before := readWaits()
	cancels, err := cancelLoops(ctx, h, 200)
	if err != nil {
		return err
	}
	var collections durations
	for range 25 {
		began := time.Now()
		runtime.GC()
		collections = append(collections, time.Since(began))
	}
	waits := readWaits().since(before)

	fmt.Printf("\n%-52s %10s %10s %10s\n", "ms, beside "+l.name, "p50", "p99", "max")
	row := func(name string, q func(float64) float64, want string) {
		fmt.Printf("%-52s %10.3f %10.3f %10.3f  %s\n", name, q(0.5)*1e3, q(0.99)*1e3, q(1)*1e3, want)
	}
	row("from cancel to the end of an endless loop", cancels.quantile, "p99 at most 5")
	row("runtime.GC()", collections.quantile, "")
	row("pauses of the garbage collector", waits.pauses.quantile, "max at most 5")
	row("waiting of goroutines that could run", waits.scheduling.quantile, "")
	return nil
}

// cancelLoops starts endless loops, cancels each after a while and returns how long it took them to end.
func cancelLoops(ctx context.Context, h *host.Host, n int) (durations, error) {
	var took durations
	for range n {
		one, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			_, err := h.Run(one, abi.Call{Plugin: "p", Function: "spin"}, nil)
			ended <- err
		}()
		time.Sleep(5 * time.Millisecond)
		began := time.Now()
		cancel()
		err := <-ended
		took = append(took, time.Since(began))
		if abi.CodeOf(err) != abi.CodeCancelled {
			return nil, fmt.Errorf("a loop that was cancelled ended with: %w", err)
		}
	}
	return took, nil
}
