package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// client is one stream of events.
type client struct {
	tasks []string       // ids of those that it looks at; empty: all that match
	all   bool           // the filter matches everything
	f     manager.Filter // for those that look at all that match

	woken chan struct{} // has room for one
	next  uint64        // the next event to read, for those that look at all that match

	mu    sync.Mutex
	given []*event    // events of the tasks that were named
	lost  atomic.Bool // some were lost
}

// Bounds of streams of tasks that are named.
const (
	maxGiven = 256 // events of one task that wait for a slow client
	perNamed = 16  // more of them for each further task
)

func (c *client) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// give hands an event to a client that named its task.
func (c *client) give(e *event) {
	c.mu.Lock()
	if len(c.given) < maxGiven+perNamed*len(c.tasks) {
		c.given = append(c.given, e)
	} else {
		c.given = nil
		c.lost.Store(true)
	}
	c.mu.Unlock()
	c.wake()
}

func (c *client) take() []*event {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.given
	c.given = nil
	return list
}

// ResumeParam is where a stream goes on.
type ResumeParam struct {
	Header string `header:"Last-Event-ID" maxLength:"64" doc:"go on after this event"`
	Query  string `query:"last_event_id" maxLength:"64" doc:"the same, for clients that cannot set headers"`
}

func (a *API) addEvents() {
	responses := func() map[int]*huma.Response {
		return map[int]*huma.Response{http.StatusOK: {
			Description: "A stream of events. Each has an `id`, an `event` (submit, start, progress, retry, cancel, finish, lost, or reset) and a line of `data`: an Event. " +
				"After `reset` events are missing: read the tasks anew.",
			Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
	}
	schemaOf[manager.Event](a)
	addAnswer(a, operation{
		method: http.MethodGet, path: "/v1/events", id: "streamEvents", role: auth.RoleRead, tag: "events",
		summary: "Events of all tasks that match, as they come", responses: responses(),
		about: "Or, with `id`, of the tasks that are named: for pages that show some of many. The filter is not looked at then, and a stream that goes on " +
			"with an event begins with `reset`.",
	}, func(_ context.Context, in *struct {
		FilterParams
		ResumeParam
		ID []string `query:"id,explode" maxItems:"1000" doc:"of a task; may be given several times"`
	},
	) (answer, error) {
		f, err := in.filter()
		if err != nil {
			return nil, err
		}
		c := &client{f: f, all: isAll(&f), tasks: slices.Compact(slices.Sorted(slices.Values(in.ID)))}
		return a.stream(c, or(in.Header, in.Query), nil)
	})
	addAnswer(a, operation{
		method: http.MethodGet, path: "/v1/tasks/{id}/events", id: "streamTask", role: auth.RoleRead, tag: "events",
		summary: "Events of one task, as they come",
		about:   "The first one, `state`, is the task as it is now. The stream ends when the task has ended.", responses: responses(), errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *struct {
		TaskPath
		ResumeParam
	},
	) (answer, error) {
		if _, err := a.cfg.Tasks.Get(ctx, in.ID); err != nil {
			return nil, err
		}
		return a.stream(&client{tasks: []string{in.ID}}, "", func() (*manager.Task, error) {
			t, err := a.cfg.Tasks.Get(ctx, in.ID)
			light(&t)
			return &t, err
		})
	})
}

func isAll(f *manager.Filter) bool {
	return len(f.Status) == 0 && f.Kind == "" && f.Name == "" && f.Plugin == "" && f.Queue == "" && len(f.Labels) == 0 && f.After.IsZero() && f.Before.IsZero()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// stream makes the answer that is a stream. state is the task of a stream of one.
func (a *API) stream(c *client, lastID string, state func() (*manager.Task, error)) (answer, error) {
	h := a.cfg.Events
	if h == nil {
		return nil, abi.Errorf(abi.CodeUnavailable, "this server has no live events")
	}
	c.woken = make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h.join(c, a.cfg.Limits.MaxStreams); err != nil {
			a.fail(w, r, err)
			return
		}
		defer h.leave(c)
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Type", "text/event-stream")
			return
		}
		s := &streamer{h: h, c: c, w: w, control: http.NewResponseController(w), timeout: a.cfg.Limits.WriteTimeout, state: state}
		s.run(r.Context(), lastID)
	}, nil
}

// streamer writes one stream.
type streamer struct {
	h       *Events
	c       *client
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	state   func() (*manager.Task, error)
	shown   uint64 // the revision of the task that was shown last
	asked   time.Time
}

// askAgain is how long a stream may go on telling without asking whether its token still counts.
const askAgain = 200 * time.Millisecond

// valid reports whether who asked for the stream may still see it.
func (s *streamer) valid(ctx context.Context) bool {
	now := time.Now()
	if now.Sub(s.asked) < askAgain {
		return true
	}
	s.asked = now
	return auth.Valid(ctx)
}

func (s *streamer) run(ctx context.Context, lastID string) {
	head := s.w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("X-Accel-Buffering", "no") // proxies that know it do not hold events back
	s.w.WriteHeader(http.StatusOK)
	if !s.begin(lastID) {
		return
	}
	ping := time.NewTicker(s.h.cfg.Ping)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.h.quit:
			return
		case <-ping.C:
			if !s.valid(ctx) || !s.write([]byte(": ping\n\n")) || !s.flush() {
				return
			}
		case <-s.c.woken:
			if !s.valid(ctx) || !s.tell() {
				return
			}
		}
	}
}

// begin writes what a stream begins with.
func (s *streamer) begin(lastID string) bool {
	s.c.next = s.h.head()
	if s.state != nil {
		return s.showState()
	}
	ok := s.write([]byte("retry: 1000\n\n"))
	if lastID != "" {
		if next, known := s.h.after(lastID); known && len(s.c.tasks) == 0 {
			s.c.next = next
			s.c.wake()
		} else {
			ok = ok && s.reset()
		}
	}
	return ok && s.flush()
}

// showState writes the task as it is now; false when that is the end.
func (s *streamer) showState() bool {
	t, err := s.state()
	if err != nil {
		return false
	}
	s.shown = t.Revision
	e := event{seq: s.c.next - 1, e: manager.Event{Kind: "state", Time: time.Now().UTC(), Task: *t}}
	return s.write(s.h.bytesOf(&e)) && s.flush() && !t.Status.Final()
}

func (s *streamer) reset() bool {
	return s.write([]byte("id: " + s.h.id(s.h.head()-1) + "\nevent: reset\ndata: {}\n\n"))
}

// tell writes what is new. False ends the stream.
func (s *streamer) tell() bool {
	if len(s.c.tasks) > 0 {
		return s.tellNamed()
	}
	var some [64]*event
	for {
		n, lost := s.h.read(s.c.next, some[:])
		if lost {
			s.c.next = s.h.head()
			if !s.reset() {
				return false
			}
			continue
		}
		if n == 0 {
			return s.flush()
		}
		for _, e := range some[:n] {
			if (s.c.all || s.c.f.Match(&e.e.Task)) && !s.write(s.h.bytesOf(e)) {
				return false
			}
		}
		s.c.next += uint64(n)
	}
}

// tellNamed writes the events of the tasks that were named. A stream of one task ends with it.
func (s *streamer) tellNamed() bool {
	list := s.c.take()
	if s.c.lost.Swap(false) {
		if s.state == nil {
			return s.reset() && s.flush()
		}
		return s.reset() && s.showState()
	}
	for _, e := range list {
		if e.e.Kind != manager.EventProgress && e.e.Task.Revision < s.shown { // older than the state that was shown
			continue
		}
		if !s.write(s.h.bytesOf(e)) {
			return false
		}
		if e.e.Kind == manager.EventFinish && s.state != nil {
			s.flush()
			return false
		}
	}
	return s.flush()
}

func (s *streamer) write(text []byte) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.timeout))
	_, err := s.w.Write(text)
	return err == nil
}

func (s *streamer) flush() bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.timeout))
	return s.control.Flush() == nil
}

func itoa(n int) string { return strconv.Itoa(n) }
