package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Kinds of events that [Client.Events] yields beside those of manager. They concern no task.
const (
	// EventReset: events may be missing before this one, so whoever shows tasks reads them again now. It is also the first event.
	EventReset manager.EventKind = "reset"
	// EventDown: the connection is lost, and is being made again; Event.Error tells why. What follows is EventReset, or the event after the
	// last one, when none was lost.
	EventDown manager.EventKind = "down"
)

// MaxNamed is how many tasks EventsOf listens to.
const MaxNamed = 1000

// maxEvent is how many bytes one event may have.
const maxEvent = 16 << 20

// Events yields what happens to the tasks that match, as it happens, until ctx ends or the loop is left. Tasks come without their bytes.
// A connection that breaks is made again, for as long as it takes, and goes on where it was; before the first one was made it is as
// patient as any request. The first event is EventReset: then the connection is there, so that who reads the tasks now misses nothing.
// An error is the last thing that is yielded: that of ctx, or of a server that refuses.
//
// Limit and Cursor of the filter have no effect. A loop that is slower than the events loses some, and gets EventReset then.
func (c *Client) Events(ctx context.Context, f manager.Filter) iter.Seq2[manager.Event, error] {
	f.Limit, f.Cursor = 0, ""
	return c.events(ctx, filterQuery(&f))
}

// EventsOf is Events for the tasks that are named, 1 to MaxNamed. Whenever the connection was made again there is EventReset. It goes on when the
// tasks have ended: somebody may retry them.
func (c *Client) EventsOf(ctx context.Context, ids []string) iter.Seq2[manager.Event, error] {
	if len(ids) < 1 || len(ids) > MaxNamed {
		err := abi.Errorf(abi.CodeInvalid, "there are %d tasks to listen to; it must be between 1 and %d", len(ids), MaxNamed)
		return func(yield func(manager.Event, error) bool) { yield(manager.Event{}, err) }
	}
	return c.events(ctx, url.Values{"id": ids})
}

func (c *Client) events(ctx context.Context, query url.Values) iter.Seq2[manager.Event, error] {
	r := newRequest(http.MethodGet, "events")
	r.query = query
	return func(yield func(manager.Event, error) bool) {
		s := &stream{client: c, request: r, resumes: true}
		s.run(ctx, yield)
	}
}

// Watch yields what happens to one task: first an event with the task as it is now, last one with the task that has ended. Tasks come without
// their bytes, and events may be left out; the last one is not. An error ends it. A connection that breaks is made again, as in [Client.Events].
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[manager.Event, error] {
	return func(yield func(manager.Event, error) bool) {
		s := &stream{client: c, request: newRequest(http.MethodGet, "tasks", id, "events")}
		s.run(ctx, func(e manager.Event, err error) bool {
			if err == nil && e.Task.ID == "" {
				return true
			}
			return yield(e, err) && !e.Task.Status.Final()
		})
	}
}

// stream is one run of Events or Watch.
type stream struct {
	client  *Client
	request *request
	resumes bool // the server is told what was read last

	last  string        // id of the last event
	retry time.Duration // what the server asks to wait before the next connection
}

// run yields events over as many connections as it takes.
func (s *stream) run(ctx context.Context, yield func(manager.Event, error) bool) {
	c := s.client
	s.request.accept = eventStream
	in, err := c.open(ctx, s.request)
	pause := c.backoff
	for {
		if err != nil {
			yield(manager.Event{}, err)
			return
		}
		got, more, down := s.read(ctx, in, yield)
		if got {
			pause = c.backoff
		}
		if !more {
			return
		}
		if ctx.Err() == nil && !yield(manager.Event{Kind: EventDown, Time: time.Now(), Error: down}, nil) {
			return
		}
		in, err = s.again(ctx, max(s.retry, pause))
		pause = min(2*pause, maxBackoff)
	}
}

// again makes the connection once more, until there is one or the server refuses.
func (s *stream) again(ctx context.Context, pause time.Duration) (*Body, error) {
	for ; ; pause = min(2*pause, maxBackoff) {
		if !sleep(ctx, pause/2+rand.N(pause/2+1)) {
			return nil, ended(ctx)
		}
		if s.resumes {
			s.request.header["Last-Event-ID"] = s.last
		}
		body, f := s.client.openOnce(ctx, s.request)
		switch {
		case f == nil:
			return body, nil
		case ctx.Err() != nil:
			return nil, ended(ctx)
		case !f.passes:
			return nil, f.err
		}
		pause = max(pause, min(f.after, maxBackoff))
	}
}

// read yields the events of one connection. It tells whether any came, whether to go on, and why the connection ended.
func (s *stream) read(ctx context.Context, body *Body, yield func(manager.Event, error) bool) (got, more bool, down *abi.Error) {
	c := s.client
	defer body.Close()
	if s.resumes && s.request.header["Last-Event-ID"] == "" && !yield(manager.Event{Kind: EventReset, Time: time.Now()}, nil) {
		return false, false, nil
	}
	silent := time.AfterFunc(c.silence, func() { body.Close() })
	defer silent.Stop()
	in := newEventReader(body, func() { silent.Reset(c.silence) })
	for {
		m, err := in.next()
		if err != nil {
			if ctx.Err() != nil {
				yield(manager.Event{}, ended(ctx))
				return got, false, nil
			}
			if errors.Is(err, errEventSize) {
				s.last = "" // else it would come again
			}
			return got, true, c.broken(err).err
		}
		if m.retry > 0 {
			s.retry = min(m.retry, maxBackoff)
		}
		if m.id != "" {
			s.last = m.id
		}
		if m.data == nil && m.event != string(EventReset) {
			continue
		}
		got = true
		e := manager.Event{Kind: manager.EventKind(m.event), Time: time.Now()}
		if e.Kind != EventReset && json.Unmarshal(m.data, &e) != nil {
			e = manager.Event{Kind: EventReset, Time: time.Now()} // something happened
		}
		silent.Stop() // while somebody else works
		if !yield(e, nil) {
			return got, false, nil
		}
		silent.Reset(c.silence)
	}
}
