package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

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
