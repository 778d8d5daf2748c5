package linmem

import "runtime"

// Watch tells at the end of a call whether the guest wrote to pages that it had not written to before, without looking at its memory: such
// a page costs a page fault, and the system counts those of each thread. Asking for the count takes a tenth of the time of looking
// through the pages of a few megabytes. The goroutine keeps to its thread between Begin and End; a call that is long, or waits,
// must not: it calls GiveUp. The zero Watch never knows; its methods are for one goroutine.
type Watch struct {
	on       bool
	watching bool
	faults   int64
}

// minWatched is the size from which looking through all pages takes longer than asking twice for the page faults.
const minWatched = 128 << 10

// Watch makes a watch for the memories, which should be as large as they are going to be. It never knows where the system does
// not count page faults, and where the memories are so small that it would not pay.
func (a *Allocator) Watch() Watch { return Watch{on: a.system.countsFaults && a.Size() >= minWatched} }

// Begin begins to watch.
func (w *Watch) Begin() {
	if !w.on {
		return
	}
	runtime.LockOSThread()
	w.watching = true
	w.faults = threadFaults()
}

// GiveUp ends the watch, if there is one: it will not know.
func (w *Watch) GiveUp() {
	if w.watching {
		w.watching = false
		runtime.UnlockOSThread()
	}
}

// End ends the watch. Same means that since Begin this goroutine has written to no page for the first time.
func (w *Watch) End() (same bool) {
	if !w.watching {
		return false
	}
	same = threadFaults() == w.faults
	w.GiveUp()
	return same
}
