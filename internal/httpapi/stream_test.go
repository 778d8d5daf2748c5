package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
)

// event makes an event of a task that no manager has.
func event(kind manager.EventKind, id string, n int) manager.Event {
	return manager.Event{Kind: kind, Time: time.Unix(int64(n), 0).UTC(), Task: manager.Task{
		ID: id, Status: manager.StatusRunning, Message: fmt.Sprint(n), Spec: manager.Spec{Input: []byte("secret"), Labels: map[string]string{"n": fmt.Sprint(n)}},
	}}
}

// TestSlowReaderGetsReset floods a client that does not read, until the ring has gone past it.
func TestSlowReaderGetsReset(t *testing.T) {
	s := start(t, setup{events: httpapi.EventsConfig{RingEvents: 100, Interval: time.Microsecond}})
	st := s.stream("/v1/events")
	n := 0
	for read := 0; ; {
		for range 1000 { // more than the ring holds
			s.events.TaskEvent(event(manager.EventProgress, "t", n))
			n++
		}
		e, ok := st.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		if read++; e.event == "reset" {
			break
		}
	}
	// It goes on with what comes then.
	last := fmt.Sprint(n)
	s.events.TaskEvent(event(manager.EventFinish, "t", n))
	for {
		e, ok := st.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		if e.event == "finish" && e.data.Task.Message == last && e.data.Task.Spec.Input == nil {
			break
		}
		if e.event == "reset" { // the ring had gone past it once more: the event may be lost
			s.events.TaskEvent(event(manager.EventFinish, "t", n))
		}
	}
	// An id that has left the ring is no place to go on from.
	first, _ := s.stream("/v1/events", "Last-Event-ID", strings.Split(lastID(t, s), "-")[0]+"-1").next()
	if first.event != "reset" {
		t.Errorf("%+v", first)
	}
}

// lastID is the id of the newest event.
func lastID(t *testing.T, s *system) string {
	st := s.stream("/v1/events")
	defer st.close()
	waitFor(t, "the stream", func() bool { return s.events.Clients() >= 2 })
	s.events.TaskEvent(event(manager.EventProgress, "t", -1))
	e, _ := st.next()
	return e.id
}

// TestStuckReaderIsCutOff stops to read, so that the server's writes stand still.
func TestStuckReaderIsCutOff(t *testing.T) {
	s := start(t, setup{api: hasty(), events: httpapi.EventsConfig{Interval: time.Microsecond}})
	c := s.dial()
	if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the stream", func() bool { return s.events.Clients() == 1 })
	e := event(manager.EventProgress, "t", 1)
	e.Task.Message = strings.Repeat("x", 10_000)
	waitFor(t, "the stream to be cut off", func() bool {
		for range 500 {
			s.events.TaskEvent(e)
		}
		return s.events.Clients() == 0
	})
}

// TestManyStreams has 2,000 clients, which all get all events, each of which is encoded once.
func TestManyStreams(t *testing.T) {
	const clients, events = 2000, 50
	s := start(t, setup{})
	var ready, done sync.WaitGroup
	ready.Add(clients)
	failed := make(chan error, clients)
	for n := range clients {
		c := s.dial()
		done.Go(func() {
			once := sync.OnceFunc(ready.Done)
			defer once()
			path := "/v1/events"
			if n%4 == 3 {
				path += "?label=n%3D7" // one of them all
			}
			_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			if err != nil {
				failed <- err
				return
			}
			got, r := 0, bufio.NewReaderSize(c, 512)
			for {
				line, err := r.ReadString('\n')
				switch {
				case err != nil:
					failed <- fmt.Errorf("client %d after %d events: %w", n, got, err)
					return
				case strings.HasPrefix(line, "retry:"):
					once()
				case strings.HasPrefix(line, "event: progress"):
					got++
				}
				if got == events || n%4 == 3 && got == 1 {
					return
				}
			}
		})
	}
	ready.Wait()
	if got := s.events.Clients(); got != clients {
		t.Errorf("%d streams are open", got)
	}
	for n := range events {
		s.events.TaskEvent(event(manager.EventProgress, "t", n))
	}
	done.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if got := s.events.Encoded(); got != events {
		t.Errorf("%d events were encoded %d times", events, got)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	cfg := hasty()
	cfg.Limits.MaxStreams = 1
	s := start(t, setup{api: cfg, events: httpapi.EventsConfig{Linger: time.Millisecond, Ping: time.Millisecond}})
	if s.events.Recording() {
		t.Error("events are kept although nobody listens")
	}
	st := s.stream("/v1/events")
	if r := s.do("GET", "/v1/events", nil); r.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", r.status, r.body)
	}
	for st.lines.Scan() { // it is kept open
		if st.lines.Text() == ": ping" {
			break
		}
	}
	st.close()
	waitFor(t, "events to be forgotten", func() bool { return !s.events.Recording() })
	again := s.stream("/v1/events")
	s.events.TaskEvent(event(manager.EventProgress, "t", 1))
	if e, _ := again.next(); e.event != "progress" {
		t.Errorf("%+v", e)
	}
	s.events.Close()
	if e, ok := again.next(); ok {
		t.Errorf("after Close: %+v", e)
	}
}

func TestHistory(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}})
	for range 3 {
		s.run("upper", "x")
	}
	s.do("POST", "/v1/queues/q/pause", nil)
	s.do("POST", "/v1/tasks?step=upper&queue=q", "x")
	now := time.Now().UTC()
	s.api.Sample(now)
	s.api.Sample(now.Add(5 * time.Second))
	h := want[httpapi.History](t, s.do("GET", "/v1/stats/history", nil), http.StatusOK)
	if len(h.Points) != 2 || h.Points[0].Submitted != 4 || h.Points[0].Completed != 3 || h.Points[0].P50 <= 0 || h.Points[0].P99 < h.Points[0].P50 ||
		h.Points[1].Submitted != 0 || h.Points[1].Pending != 1 {
		t.Errorf("%+v", h)
	}
	since := now.Add(time.Second).Format(time.RFC3339)
	if h = want[httpapi.History](t, s.do("GET", "/v1/stats/history?since="+since, nil), http.StatusOK); len(h.Points) != 1 {
		t.Errorf("%+v", h)
	}
	for n := range 1000 {
		s.api.Sample(now.Add(time.Duration(n) * time.Minute))
	}
	if h = want[httpapi.History](t, s.do("GET", "/v1/stats/history", nil), http.StatusOK); len(h.Points) != 720 {
		t.Errorf("%d points", len(h.Points))
	}
	for d := time.Microsecond; d < 100*time.Hour; d = d*11/10 + 1 {
		if top := httpapi.BucketOf(d); top < d.Seconds() || top > d.Seconds()*1.15+2e-6 {
			t.Fatalf("%v is in the bucket up to %v s", d, top)
		}
	}
}

// TestStreamsEndWithTheirToken takes a token away whose streams are open.
func TestStreamsEndWithTheirToken(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, events: httpapi.EventsConfig{Ping: 20 * time.Millisecond}})
	g := s.guard(httpapi.Limits{})
	s.do("POST", "/v1/queues/q/pause", nil)
	task := want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper&queue=q", "x"), http.StatusCreated)
	_, short, err := g.tokens.Create("short", auth.RoleRead, time.Now().Add(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, token string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := g.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	ends := func(what string, res *http.Response) {
		t.Helper()
		if data, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(data), ": ping") {
			t.Errorf("%s: %v %q", what, err, data)
		}
	}
	all, one, expires := ask("/v1/events", g.token), ask("/v1/tasks/"+task.ID+"/events", g.token), ask("/v1/events", short)
	ends("an expired token", expires) // those of the other one go on meanwhile
	if _, err := g.tokens.Remove(g.id); err != nil {
		t.Fatal(err)
	}
	ends("all events of a removed token", all)
	ends("one task's events of a removed token", one)
	if res := ask("/v1/events", g.token); res.StatusCode != http.StatusUnauthorized {
		t.Error(res.Status)
	}
	waitFor(t, "no streams", func() bool {
		return want[httpapi.ServerStats](t, s.do("GET", "/v1/stats", nil), http.StatusOK).Clients == 0
	})
}
