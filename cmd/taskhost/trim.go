package main

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// idleAfter is how long nothing has to happen before a server gives memory back.
const idleAfter = time.Minute

// trimmer gives memory back to the system when a server has started, and whenever it has become idle after work.
type trimmer struct {
	events atomic.Uint64 // of tasks
	seen   uint64        // at the last look
	done   bool          // since then nothing happened
}

// look is called each idleAfter.
func (t *trimmer) look() {
	now := t.events.Load()
	busy := now != t.seen
	t.seen = now
	switch {
	case busy:
		t.done = false
	case !t.done:
		t.done = true
		trim()
	}
}

// trim collects garbage, and gives back what is free, and what of the program itself was only needed to start.
func trim() {
	debug.FreeOSMemory()
	dropText()
}
