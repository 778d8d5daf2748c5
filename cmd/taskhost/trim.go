package main

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// idleAfter is how long nothing has to happen before a server gives memory back.
const idleAfter = time.Minute

// trimEach is how often an idle server collects garbage, in looks.
const trimEach = 5

// trimmer gives memory back to the system while a server is idle, again and again: what it does on the side brings pages back.
type trimmer struct {
	events atomic.Uint64 // of tasks
	seen   uint64        // at the last look
	idle   int           // looks since something happened
}

// look is called each idleAfter.
func (t *trimmer) look() {
	now := t.events.Load()
	if now != t.seen {
		t.seen, t.idle = now, 0
		return
	}
	if t.idle%trimEach == 0 {
		trim()
	} else {
		dropText()
	}
	t.idle++
}

// trim collects garbage, and gives back what is free, and what of the program itself was only needed to start.
func trim() {
	debug.FreeOSMemory()
	dropText()
}
