package client_test

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// TestOperate: queues, schedules, plugins, memory and figures.
func TestOperate(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()

	limit := manager.Limit{Queue: "mail", Concurrency: 2, Rate: manager.Rate{Tasks: 10, Per: time.Second}}
	if err := c.SetLimit(ctx, limit); err != nil {
		t.Fatal(err)
	}
	if err := c.SetLimit(ctx, manager.Limit{Plugin: "spin", Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	queues, err := c.Queues(ctx)
	if err != nil || len(queues) != 2 || queues[0].Limit != limit || queues[1].Plugin != "spin" || queues[1].Concurrency != 1 {
		t.Errorf("%+v %v", queues, err)
	}
	hasCode(t, c.SetLimit(ctx, manager.Limit{}), abi.CodeInvalid)

	set, err := c.SetSchedule(ctx, manager.Schedule{Name: "nightly", Cron: "0 3 * * *", TimeZone: "Europe/Berlin", Spec: upper("z")})
	if err != nil || set.NextAt.IsZero() {
		t.Errorf("%+v %v", set, err)
	}
	if err := c.PauseSchedule(ctx, "nightly", true); err != nil {
		t.Error(err)
	}
	if got, err := c.Schedule(ctx, "nightly"); err != nil || !got.Paused {
		t.Errorf("%+v %v", got, err)
	}
	task, err := c.TriggerSchedule(ctx, "nightly")
	if err != nil || task.Spec.Labels[manager.LabelSchedule] != "nightly" {
		t.Errorf("%+v %v", task, err)
	}
	if list, err := c.Schedules(ctx); err != nil || len(list) != 1 || list[0].LastTask != task.ID {
		t.Errorf("%+v %v", list, err)
	}
	if err := c.DeleteSchedule(ctx, "nightly"); err != nil {
		t.Error(err)
	}
	hasCode(t, c.DeleteSchedule(ctx, "nightly"), abi.CodeNotFound)

	list, err := c.Plugins(ctx)
	if err != nil || len(list) != len(guests) || list[0].Name != "fail" || list[0].State != abi.StateReady {
		t.Errorf("%+v %v", list, err)
	}
	if p, err := c.Disable(ctx, "upper"); err != nil || !p.Disabled {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := c.Plugin(ctx, "upper"); err != nil || !p.Disabled || p.Digest == "" {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := c.Enable(ctx, "upper"); err != nil || p.Disabled {
		t.Errorf("%+v %v", p, err)
	}
	if v, err := c.Versions(ctx, "upper"); err != nil || len(v) != 1 || !v[0].Current {
		t.Errorf("%+v %v", v, err)
	}
	_, err = c.Plugin(ctx, "../etc")
	hasCode(t, err, abi.CodeNotFound)
	_, err = c.Upload(ctx, "x", client.Upload{})
	hasCode(t, err, abi.CodeInvalid)

	if vars, err := c.Memory(ctx, "vars/1"); err != nil || len(vars) != 0 {
		t.Errorf("%v %v", vars, err)
	}
	if err := c.Forget(ctx, "vars/1"); err != nil {
		t.Error(err)
	}
	_, err = c.Memory(ctx, "vars")
	hasCode(t, err, abi.CodeInvalid)

	stats, err := c.Stats(ctx)
	if err != nil || stats.Plugins != len(guests) || stats.Version != "test" || stats.Principal.Role != "admin" || stats.StartedAt.IsZero() {
		t.Errorf("%+v %v", stats, err)
	}
	if h, err := c.History(ctx, time.Time{}); err != nil || h.Interval != 5 {
		t.Errorf("%+v %v", h, err)
	}
	if _, err := c.Audit(ctx, 10); err != nil {
		t.Error(err)
	}
}

// TestUpload: a plugin comes, gets a new version, goes back to the one before, and goes.
func TestUpload(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()
	wat, err := os.ReadFile(filepath.Join("..", "build", "testdata", "upper-wat.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := os.ReadFile(filepath.Join("..", "build", "testdata", "upper-c.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Upload(ctx, "big", client.Upload{Wasm: wat, DryRun: true}); err != nil || v.Digest == "" {
		t.Errorf("%+v %v", v, err)
	}
	_, err = c.Plugin(ctx, "big")
	hasCode(t, err, abi.CodeNotFound)
	first, err := c.Upload(ctx, "big", client.Upload{Wasm: wat})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Upload(ctx, "big", client.Upload{Wasm: compiled, Manifest: []byte(`{"taskhost":{"description":"in C"}}`)})
	if err != nil || second.Digest == first.Digest || !second.Current {
		t.Fatalf("%+v %v", second, err)
	}
	if p, err := c.Plugin(ctx, "big"); err != nil || p.Description != "in C" {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := c.Upload(ctx, "big", client.Upload{Manifest: []byte(`{"taskhost":{"description":"still in C"}}`)}); err != nil {
		t.Error(err)
	}
	_, err = c.Upload(ctx, "big", client.Upload{Wasm: []byte("not wasm")})
	hasCode(t, err, abi.CodeRefused)
	if v, err := c.Rollback(ctx, "big", first.Digest); err != nil || v.Digest != first.Digest {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := c.Submit(ctx, manager.ProcessorTask("x", "big"), client.SubmitOptions{Wait: time.Minute}); err != nil {
		t.Error(err)
	}
	if p, err := c.Plugin(ctx, "big"); err != nil || p.Digest != first.Digest || p.Usage.Calls != 1 {
		t.Errorf("%+v %v", p, err)
	}
	js := client.Upload{Script: []byte("export const process = (text) => text + '!';"), Extension: ".js"}
	if v, err := c.Upload(ctx, "script", js); err != nil || !v.Current {
		t.Errorf("%+v %v", v, err)
	}
	js.Manifest = []byte(`{"taskhost":{"description":"in JavaScript"}}`)
	if _, err := c.Upload(ctx, "script", js); err != nil {
		t.Error(err)
	}
	if p, err := c.Plugin(ctx, "script"); err != nil || p.Description != "in JavaScript" || p.Form != abi.FormScript {
		t.Errorf("%+v %v", p, err)
	}
	if err := c.RemovePlugin(ctx, "script"); err != nil {
		t.Error(err)
	}
	if err := c.RemovePlugin(ctx, "big"); err != nil {
		t.Error(err)
	}
	hasCode(t, c.RemovePlugin(ctx, "big"), abi.CodeNotFound)
}

// TestNamedEvents: a stream of some tasks has their events and no others.
func TestNamedEvents(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()
	b, err := c.SubmitBatch(ctx, []manager.Spec{spin(), spin()}, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{b.Tasks[0].ID, b.Tasks[1].ID}
	ended := 0
	for e, err := range c.EventsOf(ctx, ids) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Kind == client.EventReset:
			if _, err := c.Submit(ctx, upper("another"), client.SubmitOptions{Wait: time.Minute}); err != nil {
				t.Fatal(err)
			}
			if d, err := c.CancelAll(ctx, client.Selection{IDs: ids}); err != nil || d.Count != 2 {
				t.Fatalf("%+v %v", d, err)
			}
			continue
		case !slices.Contains(ids, e.Task.ID):
			t.Errorf("an event of %s", e.Task.ID)
		case e.Kind == manager.EventFinish:
			ended++
		}
		if ended == 2 {
			break
		}
	}
	for _, err := range c.EventsOf(ctx, nil) {
		hasCode(t, err, abi.CodeInvalid)
	}
}

// TestWays: a server is reached over TLS with an authority of its own, behind a path, and through a unix socket.
func TestWays(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	secure := httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	below := serve(t, http.StripPrefix("/tasks", http.HandlerFunc(s.serve)))
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	local.Listener.Close()
	local.Listener = l
	local.Start()
	t.Cleanup(local.Close)
	for name, cfg := range map[string]client.Config{
		"TLS": {BaseURL: secure.URL, RootCAs: roots}, "a path": {BaseURL: below.URL + "/tasks/"}, "a socket": {BaseURL: "unix:" + socket},
		"a transport": {BaseURL: secure.URL, HTTPClient: secure.Client()},
	} {
		if stats, err := connect(t, cfg).Stats(ctx); err != nil || stats.Version != "test" {
			t.Errorf("%s: %+v %v", name, stats, err)
		}
	}
	c := connect(t, client.Config{BaseURL: "unix:" + socket + "x", RetryFor: -1})
	_, err = c.Stats(ctx)
	hasCode(t, err, abi.CodeUnavailable)
	contains(t, err, "unix:"+socket+"x")
}

// TestHammer: one client is used from many goroutines, while answers are lost.
func TestHammer(t *testing.T) {
	s := start(t)
	c := s.client()
	var wg sync.WaitGroup
	const workers, each = 16, 10
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if i%5 == 0 {
					s.drop.Add(1)
				}
				text := fmt.Sprintf("task %d of %d", i, w)
				task, err := c.Submit(t.Context(), upper(text), client.SubmitOptions{})
				if err == nil {
					task, err = c.Result(t.Context(), task.ID)
				}
				if err != nil || string(task.Output) != strings.ToUpper(text) {
					t.Errorf("%s: %q %v", text, task.Output, err)
				}
			}
		})
	}
	wg.Wait()
	stats, err := c.Stats(t.Context())
	if err != nil || stats.Tasks.Counts.Completed != workers*each {
		t.Errorf("%+v %v", stats.Tasks.Counts, err)
	}
}
