// Package agenda decides which task goes next. The stores of this module that live in one process share it: they keep the tasks, it
// keeps their places: queues with priorities that age, delays, expiries, leases, limits of queues and plugins, lines of agents,
// dependencies and unique keys.
//
// An [Agenda] is a lock, too: a store holds it while it changes a task and its place together. Methods whose comment does not say
// otherwise are called with the lock held. Times are nanoseconds since 1970.
package agenda

import (
	"sync"
	"time"
)

// Agenda holds the places of all tasks that are not final. P is what the store keeps with each.
type Agenda[P any] struct {
	sync.Mutex
	step int64 // what one step of priority is worth

	queues  map[string]*group[P]
	plugins map[string]*group[P]
	sorts   map[string]*sort[P]
	busy    []*group[P]            // queues that have something ready
	closed  map[*group[P]]struct{} // plugins that have something parked

	urgent  heap[P] // past their lease or their expiry
	delayed heap[P] // by Due
	expiry  heap[P] // by Expires
	leases  leases[P]
	tokens  uint64

	lines      map[string]*line[P]
	dependents map[uint64][]*Entry[P] // what waits for a task
	needed     map[uint64]int         // how many tasks that are not final name it in After
	keys       keys

	waiting []chan struct{} // claims that found nothing, the longest wait first
	alarm   *time.Timer     // wakes one of them when time alone makes something claimable; nil: not set
	alarmAt int64
}

// Entry is the place of one task.
type Entry[P any] struct {
	Payload P
	Seq     uint64 // order of submission

	queue    *group[P]
	sort     *sort[P]
	since    int64 // when it became due
	rank     int64 // among those that are ready: when it became due, moved by its priority
	due      int64 // not before
	lease    *lease[P]
	extra    *extra[P] // nil: nothing of that
	priority int8
	state    state
	counted  bool // it counts as running in its queue and plugins
}

// extra is what few tasks have.
type extra[P any] struct {
	line    *line[P]
	after   []uint64
	waits   int // tasks of after that are not final yet
	expires int64
	key     string
}

type state uint8

const (
	gone    state = iota // not in the agenda
	blocked              // waits for other tasks
	delayed              // not due yet
	lined                // waits for another task of its agent
	ready                // in its queue
	parked               // waits for a limit of a plugin
	urgent               // past its lease or its expiry
	leased
)

// New makes an empty agenda. One step of priority counts as much as a wait of step.
func New[P any](step time.Duration) *Agenda[P] {
	return &Agenda[P]{
		step:    int64(step),
		queues:  make(map[string]*group[P]),
		plugins: make(map[string]*group[P]),
		sorts:   make(map[string]*sort[P]),
		lines:   make(map[string]*line[P]),
		closed:  make(map[*group[P]]struct{}),

		dependents: make(map[uint64][]*Entry[P]),
		needed:     make(map[uint64]int),
		keys:       keys{held: make(map[string]*Key)},
		urgent:     heap[P]{state: urgent},
		delayed:    heap[P]{state: delayed},
	}
}

// Place says what a task needs.
type Place struct {
	Queue    string
	Plugins  []string // of its steps, each once
	Priority int
	Since    int64    // when it was submitted
	Due      int64    // not before; 0: at once
	Expires  int64    // urgent from then on, unless it has begun; 0: never
	Agent    string   // one task at a time; empty: no agent
	Holds    bool     // it is its agent's turn already, though it is not due yet: an attempt was begun before
	After    []uint64 // tasks that it names
	Waits    []uint64 // those of them that are in the agenda
	Key      string   // unique key, which must be free; see Hold
}

// Add gives a pending task without a lease its place.
func (a *Agenda[P]) Add(e *Entry[P], p Place) {
	e.queue = a.group(a.queues, p.Queue, false)
	e.queue.tasks++
	e.sort = a.sortOf(p.Plugins)
	e.priority, e.since, e.due = int8(p.Priority), p.Since, p.Due
	if p.Agent != "" || len(p.After) > 0 || p.Expires != 0 || p.Key != "" {
		e.extra = &extra[P]{after: p.After, waits: len(p.Waits), expires: p.Expires, key: p.Key}
		if p.Agent != "" {
			e.extra.line = a.line(p.Agent)
			e.extra.line.tasks++
			if p.Holds && e.extra.line.active == nil {
				e.extra.line.active = e
			}
		}
	}
	for _, seq := range p.After {
		a.needed[seq]++
	}
	for _, seq := range p.Waits {
		a.dependents[seq] = append(a.dependents[seq], e)
	}
	a.place(e, 0)
	if p.Expires != 0 {
		a.expiry.push(p.Expires, e)
		a.setAlarm()
	}
}

// now is the time in nanoseconds.
func now() int64 { return time.Now().UnixNano() }

// place puts an entry that is pending and has no lease where it belongs. Most need not know the time, which is not for nothing: at is 0
// where it is not known.
func (a *Agenda[P]) place(e *Entry[P], at int64) {
	x := e.extra
	if at == 0 && (e.due != 0 || x != nil && x.line != nil) {
		at = now()
	}
	switch {
	case x != nil && x.waits > 0:
		e.state = blocked
	case e.due > at:
		e.state = delayed
		a.delayed.push(e.due, e)
		a.setAlarm()
	default:
		if x != nil && x.line != nil {
			if a.promote(at); e.state == urgent { // what became due before goes before it; and it may itself have expired
				return
			}
		}
		a.makeReady(e)
	}
}

// makeReady puts an entry that is due into its queue, or into its agent's line.
func (a *Agenda[P]) makeReady(e *Entry[P]) {
	e.since = max(e.since, e.due)
	if x := e.extra; x != nil && x.line != nil && !x.line.enter(e) {
		e.state = lined
		return
	}
	e.state = ready
	q := e.queue
	if q.ready.empty() {
		q.busy = len(a.busy)
		a.busy = append(a.busy, q)
	}
	e.rank = e.since - int64(e.priority)*a.step
	q.ready.push(e.rank, e)
	if !q.limited || q.opens(now()) == 0 {
		a.wake()
	} else {
		a.setAlarm()
	}
}

// Requeue ends the lease of a pending task, if it has one, and gives it a place again: at once when due is 0.
func (a *Agenda[P]) Requeue(e *Entry[P], due int64) {
	a.leave(e)
	e.due = due
	a.place(e, 0)
}

// Begun says that a task has started, so that it does not expire any more.
func (a *Agenda[P]) Begun(e *Entry[P]) {
	if e.extra != nil && e.extra.expires != 0 {
		e.extra.expires = 0
		a.expiry.drop(expires)
	}
}

// Finish takes a task that is final, and its lease, out of the agenda. What waited for it goes on.
func (a *Agenda[P]) Finish(e *Entry[P]) {
	a.Begun(e)
	a.leave(e)
	e.state = gone
	a.leaveGroups(e)
	waiting := a.dependents[e.Seq]
	delete(a.dependents, e.Seq)
	for _, d := range waiting {
		if d.extra == nil || d.state == gone {
			continue
		}
		if d.extra.waits--; d.extra.waits == 0 && d.state == blocked {
			d.since = now()
			a.place(d, d.since)
		}
	}
	if x := e.extra; x != nil { // last, so that the next one of the line is the first of all that may go on
		a.finishExtra(e, x)
		e.extra = nil
	}
}

func (a *Agenda[P]) finishExtra(e *Entry[P], x *extra[P]) {
	for _, seq := range x.after {
		if a.needed[seq]--; a.needed[seq] <= 0 {
			delete(a.needed, seq)
		}
	}
	if x.line != nil {
		a.promote(now())
		a.leaveLine(e, x.line)
	}
	if x.key != "" {
		a.keys.release(x.key, e.Seq)
	}
}

// leave takes an entry from where it is.
func (a *Agenda[P]) leave(e *Entry[P]) {
	switch e.state {
	case leased:
		a.leases.remove(e.lease)
	case delayed:
		e.state = gone
		a.delayed.drop(inState[P])
	case urgent:
		e.state = gone
		a.urgent.drop(inState[P])
	case ready:
		e.state = gone
		e.queue.ready.drop(inState[P])
		a.rest(e.queue)
	case parked:
		e.state = gone
		for _, g := range e.sort.groups { // in one of them
			g.ready.drop(inState[P])
			if g.ready.empty() {
				delete(a.closed, g)
			}
		}
	}
	e.state = gone
	if e.lease != nil {
		a.leases.free(e.lease)
		e.lease = nil
	}
	if e.counted {
		e.counted = false
		a.uncount(e)
	}
}

// Needed reports whether a task that is not final names this one in After.
func (a *Agenda[P]) Needed(seq uint64) bool { return a.needed[seq] > 0 }

// Pending reports whether the entry has no lease.
func (e *Entry[P]) Pending() bool { return e.lease == nil }
