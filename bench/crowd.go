package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// crowd keeps a thousand instances of the Go plugin alive at once and tells what they cost.
func crowd(ctx context.Context, wasm files) error {
	return crowdOf(ctx, "a Go plugin", callCase{wasm: wasm["upper-go"]})
}

// crowdOf does that with a plugin that reports progress.
func crowdOf(ctx context.Context, name string, c callCase) error {
	const n = 1000
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
	fmt.Printf("\n%d instances of %s in use at once: %.1f ms each to make, %.0f KiB of their own each in use, %.0f KiB idle\n",
		n, name, took.Seconds()*1e3/n, float64(busy-before)/n/1024, float64(resident()-before)/n/1024)
	return nil
}

// resident is the process's resident memory that it shares with nobody, in bytes; 0 where it cannot be told. What instances only read of their
// version's image is shared.
func resident() int64 {
	debug.FreeOSMemory()
	b, err := os.ReadFile(filepath.Join("/proc", "self", "status"))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(b), "\nRssAnon:")
	var kib int64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		return 0
	}
	return kib << 10
}
