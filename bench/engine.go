package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// latencies measures, while guests keep all cores busy, how long a cancel takes and how long a garbage collection.
func latencies(ctx context.Context, wasm files) error {
	c := callCase{wasm: wasm["guests/spin"]}
	h, done, err := c.newHost(ctx, abi.IsolationPristine)
	if err != nil {
		return err
	}
	defer done()
	busy, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() { _, _ = h.Run(busy, abi.Call{Plugin: "p", Function: "nested"}, nil) })
	}
	defer group.Wait()
	defer stop()

	var cancels, collections []time.Duration
	for range 200 {
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
		cancels = append(cancels, time.Since(began))
		if abi.CodeOf(err) != abi.CodeCancelled {
			return fmt.Errorf("a loop that was cancelled: %w", errors.Join(err, errors.New("unexpected")))
		}
	}
	for range 50 {
		began := time.Now()
		runtime.GC()
		collections = append(collections, time.Since(began))
	}
	var stats debug.GCStats
	stats.PauseQuantiles = make([]time.Duration, 5)
	debug.ReadGCStats(&stats)
	fmt.Printf("\n%-52s %10s %10s %10s\n", "while guests keep all cores busy, ms", "p50", "p99", "max")
	row := func(name string, d []time.Duration, want string) {
		slices.Sort(d)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
		fmt.Printf("%-52s %10.2f %10.2f %10.2f  %s\n", name, ms(d[len(d)/2]), ms(d[len(d)*99/100]), ms(d[len(d)-1]), want)
	}
	row("from cancel to the end of an endless loop", cancels, "p99 at most 5")
	row("runtime.GC()", collections, "")
	row("pauses of the garbage collector", stats.Pause[:min(len(stats.Pause), 100)], "max at most 5")
	return nil
}

// crowd keeps a thousand instances of the Go plugin alive at once and tells what they cost.
func crowd(ctx context.Context, wasm files) error {
	const n = 1000
	c := callCase{wasm: wasm["upper-go"]}
	h, done, err := c.newHost(ctx, abi.IsolationPristine)
	if err != nil {
		return err
	}
	defer done()
	before := resident()
	began := time.Now()
	var group, inside sync.WaitGroup
	inside.Add(n)
	release := make(chan struct{})
	failed := make(chan error, n)
	for range n {
		group.Go(func() {
			var once sync.Once
			// The guest reports progress in the middle of the call: there it is held, so that all are in use at once.
			_, err := h.Run(ctx, abi.Call{Plugin: "p", Function: "process", Input: []byte("hello")}, func(abi.Progress) {
				once.Do(func() {
					inside.Done()
					<-release
				})
			})
			if err != nil {
				failed <- err
			}
		})
	}
	reached := make(chan struct{})
	go func() { inside.Wait(); close(reached) }()
	select {
	case <-reached:
	case err := <-failed:
		return err
	}
	took := time.Since(began)
	busy := resident()
	close(release)
	group.Wait()
	fmt.Printf("\n%d instances of a Go plugin in use at once: %.1f ms each to make, %.0f KiB each resident in use, %.0f KiB idle\n",
		n, took.Seconds()*1e3/n, float64(busy-before)/n/1024, float64(resident()-before)/n/1024)
	return nil
}

// resident is the process's resident memory in bytes; 0 where it cannot be told.
func resident() int64 {
	debug.FreeOSMemory()
	b, err := os.ReadFile(filepath.Join("/proc", "self", "statm"))
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
