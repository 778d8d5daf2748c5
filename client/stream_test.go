package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

var quiet = log.New(io.Discard, "", 0)

// script answers each connection of a stream with what is next, and keeps what was asked.
type script struct {
	mu    sync.Mutex
	parts []func(w http.ResponseWriter, r *http.Request)
	asked []string // Last-Event-ID of each connection
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Header.Get("Last-Event-ID"))
	part := s.parts[0]
	if len(s.parts) > 1 {
		s.parts = s.parts[1:]
	}
	s.mu.Unlock()
	part(w, r)
}

// events is a connection that sends text and then is cut, or stays open.
func events(text string, open bool) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		if open {
			<-r.Context().Done()
			return
		}
		panic(http.ErrAbortHandler)
	}
}

// event is an event as it stands in a stream.
func event(t *testing.T, n int, kind manager.EventKind, task manager.Task) string {
	t.Helper()
	data, err := json.Marshal(manager.Event{Kind: kind, Time: time.Now(), Task: task})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("id: boot-%d\nevent: %s\ndata: %s\n\n", n, kind, data)
}

// TestEventsGoOn: a stream that breaks is made again where it was, over errors that pass; whoever shows tasks is told when to read them anew.
func TestEventsGoOn(t *testing.T) {
	one := event(t, 1, manager.EventStart, manager.Task{ID: "a", Status: manager.StatusRunning})
	two := event(t, 2, manager.EventProgress, manager.Task{ID: "a", Status: manager.StatusRunning, Progress: .5})
	three := event(t, 9, manager.EventFinish, manager.Task{ID: "a", Status: manager.StatusCompleted})
	s := &script{parts: []func(http.ResponseWriter, *http.Request){
		events("retry: 1\n\n", false), // nothing came yet: what is missed now is not known
		events(": ping\n\n"+one+two[:len(two)-20], false),
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		events(strings.ReplaceAll(two, "\n", "\r\n"), false),
		events("id: boot-8\nevent: reset\ndata: {}\n\n"+three, true),
	}}
	c := connect(t, client.Config{BaseURL: serve(t, s).URL})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for e, err := range c.Events(ctx, manager.Filter{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			hasCode(t, err, abi.CodeCancelled)
			break
		}
		if e.Kind == client.EventDown && abi.CodeOf(e.Error) != abi.CodeUnavailable {
			t.Errorf("down because of %v", e.Error)
		}
		got = append(got, string(e.Kind))
		if e.Task.Status.Final() {
			cancel()
		}
	}
	want := []string{"reset", "down", "reset", "start", "down", "progress", "down", "reset", "finish"}
	if !slices.Equal(got, want) {
		t.Errorf("%v,\nwant %v", got, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := []string{"", "", "boot-1", "boot-1", "boot-2"}; !slices.Equal(s.asked, want) {
		t.Errorf("asked to go on after %q, want %q", s.asked, want)
	}
}

// TestEventsEnd: what will not pass ends the stream, at its beginning and later.
func TestEventsEnd(t *testing.T) {
	denied := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"title":"Unauthorized","detail":"the token was taken back","code":"denied"}`)
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>")
	}
	for name, tc := range map[string]struct {
		parts []func(http.ResponseWriter, *http.Request)
		code  abi.Code
		kinds int
	}{
		"at once":  {[]func(http.ResponseWriter, *http.Request){denied}, abi.CodeDenied, 0},
		"a page":   {[]func(http.ResponseWriter, *http.Request){page}, abi.CodeInvalid, 0},
		"later":    {[]func(http.ResponseWriter, *http.Request){events("", false), denied}, abi.CodeDenied, 2},
		"no hope":  {[]func(http.ResponseWriter, *http.Request){func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}, abi.CodeUnavailable, 0},
		"not JSON": {[]func(http.ResponseWriter, *http.Request){events("event: start\ndata: {\n\n", false), denied}, abi.CodeDenied, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, client.Config{BaseURL: serve(t, &script{parts: tc.parts}).URL, RetryFor: 10 * time.Millisecond})
			n := 0
			var last error
			for _, err := range c.Events(t.Context(), manager.Filter{}) {
				if err == nil {
					n++
				}
				last = err
			}
			hasCode(t, last, tc.code)
			if n != tc.kinds {
				t.Errorf("%d events, want %d", n, tc.kinds)
			}
		})
	}
}

// TestSilentStream: a connection on which nothing comes, not even a ping, is dead, and is made again.
func TestSilentStream(t *testing.T) {
	end := event(t, 1, manager.EventFinish, manager.Task{ID: "a", Status: manager.StatusFailed})
	s := &script{parts: []func(http.ResponseWriter, *http.Request){events("", true), events(end, true)}}
	c := connect(t, client.Config{BaseURL: serve(t, s).URL})
	client.SetSilence(c, 30*time.Millisecond)
	var last manager.Event
	for e, err := range c.Watch(t.Context(), "a") {
		if err != nil {
			t.Fatal(err)
		}
		last = e
	}
	if last.Task.Status != manager.StatusFailed {
		t.Errorf("%+v", last)
	}
}

// TestLeaveStream: a loop that is left leaves no connection behind; the leak check of the package looks.
func TestLeaveStream(t *testing.T) {
	s := &script{parts: []func(http.ResponseWriter, *http.Request){events("", true)}}
	c := connect(t, client.Config{BaseURL: serve(t, s).URL})
	for e, err := range c.Events(t.Context(), manager.Filter{}) {
		if err != nil || e.Kind != client.EventReset {
			t.Error(e.Kind, err)
		}
		break
	}
}

// TestHugeEvent: an event without end is not kept.
func TestHugeEvent(t *testing.T) {
	huge := "data: " + strings.Repeat("x", 17<<20)
	_, _, _, err := client.ReadEvents(strings.NewReader(huge))
	if err == nil || !strings.Contains(err.Error(), "larger") {
		t.Error(err)
	}
}

// FuzzReadEvents: whatever a stream holds, reading it ends, and what is read is what a reader by the letter of the specification reads.
func FuzzReadEvents(f *testing.F) {
	for _, seed := range []string{
		"id: 1\nevent: start\ndata: {}\n\n", "data\n\n", "data: a\ndata: b\n\n:x\n\nid: 2\n\n", "event: reset\r\n\r\n", "retry: 99999999999999999999\n\n", "\n\n\nid\n\n", "data: x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kinds, ids, data, err := client.ReadEvents(strings.NewReader(text))
		if err == nil {
			t.Fatal("it did not end")
		}
		if len(kinds) != len(ids) || len(ids) != len(data) {
			t.Fatal("parts are missing")
		}
		if n := strings.Count(text, "\n"); len(kinds) > n/2 {
			t.Errorf("%d events in %d lines", len(kinds), n)
		}
		for _, id := range ids {
			if strings.ContainsAny(id, "\n\x00") {
				t.Errorf("the id %q", id)
			}
		}
	})
}
