package httpapi

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// EventsConfig configures Events. The zero value works.
type EventsConfig struct {
	RingEvents int           // events that are kept for clients that come back; default 16,384
	RingBytes  int64         // what these may hold, about; default 32 MiB
	Interval   time.Duration // events of this time are told together; default 10 ms
	Ping       time.Duration // a comment each so often keeps a stream open; default 15 s
	Linger     time.Duration // events are kept for so long after the last client has left; default 1 minute
}

// Events is the hub of live events: a ring of the last ones, from which the streams of all clients read, each at its own pace. What a
// client was too slow for is gone: it is told so, and reads the tasks anew. While nobody has listened for a while, nothing is kept.
type Events struct {
	cfg  EventsConfig
	boot string // tells the events of this process from those of others

	mu    sync.RWMutex // guards the ring
	ring  []*event     // the event with the number n is at n % len(ring)
	first uint64       // the number of the oldest event that is kept
	next  uint64       // the number of the next event
	gap   uint64       // the number of the first event that was kept again after some had not been
	bytes int64

	recording atomic.Bool   // there is a client, or was one a moment ago
	encoded   atomic.Uint64 // events, so far
	kick      chan struct{} // there is something new; has room for one
	quit      chan struct{}
	done      chan struct{}
	close     sync.Once

	clientsMu sync.Mutex
	clients   map[*client]struct{} // those that look at all events
	byTask    map[string][]*client // those that named a task
	open      int
	left      time.Time // when the last client left
	closed    bool

	meter  *meter
	usages usages
}

// event is one event of the ring. It is encoded when the first client wants it, for all of them.
type event struct {
	seq  uint64
	e    manager.Event
	once sync.Once
	text []byte // as a stream has it
}

// eventKinds are those that streams have.
func eventKinds() []manager.EventKind {
	return []manager.EventKind{
		manager.EventSubmit, manager.EventStart, manager.EventProgress, manager.EventRetry, manager.EventCancel, manager.EventFinish, manager.EventLost,
	}
}

// NewEvents makes a hub. The caller must call [Events.Close].
func NewEvents(cfg EventsConfig) *Events {
	cfg.RingEvents = cmp.Or(cfg.RingEvents, 16_384)
	cfg.RingBytes = cmp.Or(cfg.RingBytes, 32<<20)
	cfg.Interval = cmp.Or(cfg.Interval, 10*time.Millisecond)
	cfg.Ping = cmp.Or(cfg.Ping, 15*time.Second)
	cfg.Linger = cmp.Or(cfg.Linger, time.Minute)
	var id [6]byte
	_, _ = rand.Read(id[:])
	h := &Events{
		cfg: cfg, boot: hex.EncodeToString(id[:]), first: 1, next: 1,
		kick: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		clients: map[*client]struct{}{}, byTask: map[string][]*client{}, meter: newMeter(),
	}
	go h.dispatch()
	return h
}

// Close ends all streams and the hub. Events that come afterwards are dropped.
func (h *Events) Close() {
	h.close.Do(func() {
		h.clientsMu.Lock()
		h.closed = true
		h.clientsMu.Unlock()
		close(h.quit)
	})
	<-h.done
}

// Clients is how many streams are open.
func (h *Events) Clients() int {
	h.clientsMu.Lock()
	defer h.clientsMu.Unlock()
	return h.open
}

// TaskEvent takes an event in: it goes into manager.Config.OnEvent.
func (h *Events) TaskEvent(e manager.Event) {
	h.meter.count(&e)
	if !h.recording.Load() || e.Kind == manager.EventReject || e.Kind == manager.EventError {
		return
	}
	light(&e.Task)
	if len(e.Task.Attempts) > 0 {
		e.Task.Attempts = slices.Clone(e.Task.Attempts)
		for i := range e.Task.Attempts {
			e.Task.Attempts[i].Log = nil
		}
	}
	ev := &event{e: e}
	h.mu.Lock()
	if h.ring == nil {
		h.ring = make([]*event, h.cfg.RingEvents)
	}
	ev.seq = h.next
	for h.first < h.next && (h.next-h.first >= uint64(len(h.ring)) || h.bytes > h.cfg.RingBytes) {
		h.drop()
	}
	h.ring[h.next%uint64(len(h.ring))] = ev
	h.bytes += ev.size()
	h.next++
	h.mu.Unlock()
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// drop forgets the oldest event; mu is held.
func (h *Events) drop() {
	at := h.first % uint64(len(h.ring))
	h.bytes -= h.ring[at].size()
	h.ring[at] = nil
	h.first++
}

// size is what an event holds, about: its text may be made later.
func (e *event) size() int64 {
	t := &e.e.Task
	n := 2048 + len(t.Message) + len(t.Spec.Name) + 300*len(t.Attempts)
	for k, v := range t.Spec.Labels {
		n += 2 * (len(k) + len(v))
	}
	for i := range t.Spec.Steps {
		n += 100
		for k, v := range t.Spec.Steps[i].Config {
			n += 2 * (len(k) + len(v))
		}
	}
	if t.Error != nil {
		n += 2 * (len(t.Error.Message) + len(t.Error.Detail))
	}
	return int64(n)
}

// bytesOf is the event as a stream has it.
func (h *Events) bytesOf(e *event) []byte {
	e.once.Do(func() {
		h.encoded.Add(1)
		b := getBuffer()
		defer putBuffer(b)
		text := append(b.AvailableBuffer(), "id: "+h.id(e.seq)+"\nevent: "+string(e.e.Kind)+"\ndata: "...)
		text = append(appendEvent(text, &e.e), "\n\n"...)
		b.Write(text)
		e.text = bytes.Clone(text)
	})
	return e.text
}

func (h *Events) id(seq uint64) string { return h.boot + "-" + uitoa(seq) }

// read copies the events from number from on that the ring has, at most len(to). Some before the first are lost if lost is true.
func (h *Events) read(from uint64, to []*event) (n int, lost bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if from < h.first {
		return 0, true
	}
	for n < len(to) && from+uint64(n) < h.next {
		to[n] = h.ring[(from+uint64(n))%uint64(len(h.ring))]
		n++
	}
	return n, false
}

// head is the number of the next event.
func (h *Events) head() uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.next
}

// after is where to go on for a client that has seen the event with an id; false if that cannot be.
func (h *Events) after(id string) (uint64, bool) {
	number, ok := strings.CutPrefix(id, h.boot+"-")
	if !ok {
		return 0, false
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, false
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return seq + 1, seq+1 >= h.first && seq >= h.gap && seq < h.next
}

// dispatch wakes the clients that have something to read, all of an interval together.
func (h *Events) dispatch() {
	defer close(h.done)
	told := uint64(1)
	tick := time.NewTicker(max(h.cfg.Linger/4, time.Millisecond))
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-h.quit:
			return
		case <-tick.C:
			h.rest()
			continue
		case <-h.kick:
		}
		told = h.wake(told)
		pause.Reset(h.cfg.Interval)
		select {
		case <-h.quit:
			return
		case <-pause.C:
		}
	}
}

// wake tells clients of the events from number from on, and returns the number after the last.
func (h *Events) wake(from uint64) uint64 {
	var some [256]*event
	head := h.head()
	h.clientsMu.Lock()
	defer h.clientsMu.Unlock()
	if from == head {
		return head
	}
	for c := range h.clients {
		c.wake()
	}
	if len(h.byTask) == 0 {
		return head
	}
	for from < head {
		n, lost := h.read(from, some[:])
		if lost { // more came than the ring holds
			h.mu.RLock()
			from = h.first
			h.mu.RUnlock()
			for _, list := range h.byTask {
				for _, c := range list {
					c.lost.Store(true)
					c.wake()
				}
			}
			continue
		}
		for _, e := range some[:n] {
			for _, c := range h.byTask[e.e.Task.ID] {
				c.give(e)
			}
		}
		from += uint64(n)
	}
	return from
}

// rest stops keeping events when nobody has listened for a while.
func (h *Events) rest() {
	h.clientsMu.Lock()
	defer h.clientsMu.Unlock()
	if h.open > 0 || h.left.IsZero() || time.Since(h.left) < h.cfg.Linger {
		return
	}
	h.recording.Store(false)
	h.left = time.Time{}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring, h.bytes = nil, 0
	h.first, h.gap = h.next, h.next // who has seen the one before misses what has no number from now on
}

// join adds a client. Events from then on are kept.
func (h *Events) join(c *client, most int) error {
	h.clientsMu.Lock()
	defer h.clientsMu.Unlock()
	switch {
	case h.closed:
		return abi.Errorf(abi.CodeClosed, "the server is stopping")
	case h.open >= most:
		return abi.Errorf(abi.CodeUnavailable, "%d streams of events are open already", h.open)
	}
	h.open++
	h.recording.Store(true)
	if len(c.tasks) == 0 {
		h.clients[c] = struct{}{}
	}
	for _, id := range c.tasks {
		h.byTask[id] = append(h.byTask[id], c)
	}
	return nil
}

// leave removes a client.
func (h *Events) leave(c *client) {
	h.clientsMu.Lock()
	defer h.clientsMu.Unlock()
	h.open--
	h.left = time.Now()
	delete(h.clients, c)
	for _, id := range c.tasks {
		list := slices.DeleteFunc(h.byTask[id], func(other *client) bool { return other == c })
		if len(list) == 0 {
			delete(h.byTask, id)
		} else {
			h.byTask[id] = list
		}
	}
}
