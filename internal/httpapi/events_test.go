package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
)

// sse is one event of a stream.
type sse struct {
	id, event string
	data      manager.Event
}

// stream reads events.
type stream struct {
	t     testing.TB
	body  io.ReadCloser
	lines *bufio.Scanner
	stop  context.CancelFunc
}

// stream opens a stream; it is closed when the test ends, or by close.
func (s *system) stream(path string, headers ...string) *stream {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if ct := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || ct != "text/event-stream" {
		body, _ := io.ReadAll(res.Body)
		s.t.Fatalf("%d %s %s", res.StatusCode, ct, body)
	}
	st := &stream{t: s.t, body: res.Body, lines: bufio.NewScanner(res.Body), stop: stop}
	st.lines.Buffer(nil, 1<<20)
	s.t.Cleanup(st.close)
	return st
}

func (s *stream) close() {
	s.stop()
	s.body.Close()
}

// next reads an event; false at the end of the stream.
func (s *stream) next() (e sse, ok bool) {
	s.t.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && e.event != "":
			return e, true
		case name == "id":
			e.id = value
		case name == "event":
			e.event = value
		case name == "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				s.t.Fatalf("%v: %s", err, value)
			}
		}
	}
	return e, false
}

// until reads events up to one of a kind, and returns their kinds and it.
func (s *stream) until(kind string) (kinds []string, last sse) {
	s.t.Helper()
	for {
		e, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended after %v", kinds)
		}
		if e.event != "progress" { // there are as many as there is time for
			kinds = append(kinds, e.event)
		}
		if e.event == kind {
			return kinds, e
		}
	}
}

func TestStreamOfAllThatMatch(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}})
	all, some := s.stream("/v1/events"), s.stream("/v1/events?label=x=1")
	s.do("POST", "/v1/tasks?step=upper", "other")
	task := want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper&label=x=1", "mine"), http.StatusCreated)
	kinds, e := some.until("finish")
	if strings.Join(kinds, " ") != "submit start finish" || e.data.Task.ID != task.ID || e.data.Task.Output != nil || e.data.Task.OutputBytes != 4 {
		t.Errorf("%v %+v", kinds, e)
	}
	first, _ := all.next()
	for range 2 {
		all.until("finish")
	}
	all.close()
	// Who comes back goes on where it was.
	again := s.stream("/v1/events", "Last-Event-ID", first.id)
	if e, _ := again.next(); e.event == "reset" || e.id == first.id {
		t.Errorf("%+v", e)
	}
	if e, _ := s.stream("/v1/events?last_event_id=00112233aabb-7").next(); e.event != "reset" {
		t.Errorf("an id of another process: %+v", e)
	}
}

// TestNothingIsKeptWhileNobodyListens comes back with the last id after events that were not kept.
func TestNothingIsKeptWhileNobodyListens(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, events: httpapi.EventsConfig{Linger: time.Millisecond}})
	st := s.stream("/v1/events")
	s.do("POST", "/v1/tasks?step=upper", "seen")
	_, last := st.until("finish")
	st.close()
	waitFor(t, "the hub to rest", func() bool { return !s.events.Recording() })
	s.run("upper", "missed")
	st = s.stream("/v1/events", "Last-Event-ID", last.id)
	s.do("POST", "/v1/tasks?step=upper", "seen again")
	first, _ := st.next()
	if kinds, _ := st.until("finish"); first.event != "reset" || strings.Join(kinds, " ") != "submit start finish" {
		t.Errorf("%+v, then %v", first, kinds)
	}
}

func TestStreamOfOneTask(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}})
	s.do("POST", "/v1/queues/q/pause", nil)
	task := want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper&queue=q", "x"), http.StatusCreated)
	st := s.stream("/v1/tasks/" + task.ID + "/events")
	if e, _ := st.next(); e.event != "state" || e.data.Task.Status != manager.StatusPending {
		t.Errorf("%+v", e)
	}
	s.do("POST", "/v1/queues/q/resume", nil)
	if kinds, _ := st.until("finish"); strings.Join(kinds, " ") != "start finish" {
		t.Errorf("%v", kinds)
	}
	if e, ok := st.next(); ok {
		t.Errorf("after the end: %+v", e)
	}
	st = s.stream("/v1/tasks/" + task.ID + "/events")
	if e, _ := st.next(); e.event != "state" || e.data.Task.Status != manager.StatusCompleted {
		t.Errorf("%+v", e)
	}
	if e, ok := st.next(); ok {
		t.Errorf("after the end: %+v", e)
	}
}
