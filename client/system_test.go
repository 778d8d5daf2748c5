package client_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/builtin"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/internal/plugindir"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// system is a real server: plugins, tasks in a file, and the API. It can go down and come back at the same address.
type system struct {
	t       *testing.T
	plugins string
	data    string
	cache   string // of compiled plugins
	addr    string
	url     string

	drop atomic.Int64 // answers of requests that change something that are thrown away once they are made
	role auth.Role

	host   *host.Host
	store  *sqlitestore.Store
	tasks  *manager.Manager
	events *httpapi.Events
	api    *httpapi.API
	dir    *plugindir.Dir
	http   *httptest.Server
}

// guests are the plugins of a system: small ones, by the name of their file below build.
var guests = map[string]string{
	"upper": "testdata/upper-wat", "fail": "testdata/guests/fail", "progress": "testdata/guests/progress", "spin": "testdata/hostile/spin", "vars": "testdata/guests/vars",
}

// start makes a system, and takes it down when the test ends.
func start(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, plugins: t.TempDir(), data: t.TempDir(), addr: "127.0.0.1:0", role: auth.RoleAdmin}
	cache, err := filepath.Abs(filepath.Join("..", "build", "cache", "taskhost"))
	if err == nil {
		err = os.MkdirAll(cache, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.cache = cache
	for name, file := range guests {
		wasm, err := os.ReadFile(filepath.Join("..", "build", file+".wasm"))
		if err != nil {
			t.Fatalf("%v: run make plugins first", err)
		}
		if err := os.WriteFile(filepath.Join(s.plugins, name+".wasm"), wasm, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.up()
	t.Cleanup(s.down)
	return s
}

// up starts the server.
func (s *system) up() {
	s.t.Helper()
	ctx := context.Background()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	var err error
	s.events = httpapi.NewEvents(httpapi.EventsConfig{})
	s.dir, err = plugindir.Open(plugindir.Config{Path: s.plugins, Scripts: builtin.Extensions})
	must(err)
	s.host, err = host.New(ctx, host.Config{Dir: s.plugins, Interpreters: builtin.Interpreters(), CacheDir: s.cache, WatchInterval: 5 * time.Millisecond, OnEvent: func(e host.Event) {
		s.events.HostEvent(e)
		s.dir.HostEvent(e)
	}})
	must(err)
	s.store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(s.data, "tasks.db"), Relaxed: true})
	must(err)
	s.tasks, err = manager.New(s.host, manager.Config{Store: s.store, KeepOnStop: true, OnEvent: s.events.TaskEvent})
	must(err)
	must(s.tasks.Start(ctx))
	s.api, err = httpapi.New(httpapi.Config{Tasks: s.tasks, Host: s.host, Plugins: s.dir, Events: s.events, Version: "test"})
	must(err)
	l, err := net.Listen("tcp", s.addr)
	must(err)
	s.http = httptest.NewUnstartedServer(nil)
	s.http.Listener.Close()
	s.http.Listener = l
	s.http.Config = httpapi.HTTPServer(http.HandlerFunc(s.serve), httpapi.Limits{}, nil)
	s.http.Start()
	s.addr, s.url = l.Addr().String(), s.http.URL
}

func (s *system) serve(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(auth.With(r.Context(), auth.Principal{ID: "local", Name: "local", Role: s.role}))
	if r.Method != http.MethodGet && s.drops() {
		s.api.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	s.api.ServeHTTP(w, r)
}

// drops tells whether the answer to a request is to be thrown away.
func (s *system) drops() bool {
	for n := s.drop.Load(); n > 0; n = s.drop.Load() {
		if s.drop.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// down stops the server. What runs goes back into the queue.
func (s *system) down() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s.events.Close()
	s.http.CloseClientConnections()
	s.http.Close()
	s.api.Close()
	soon, now := context.WithCancel(ctx)
	now()
	_ = s.tasks.Stop(soon)
	if err := s.host.Close(ctx); err != nil {
		s.t.Error(err)
	}
	s.dir.Close()
	if err := s.store.Close(ctx); err != nil {
		s.t.Error(err)
	}
}

// client makes a client of the system.
func (s *system) client() *client.Client {
	s.t.Helper()
	return connect(s.t, client.Config{BaseURL: s.url})
}

// until waits for a task to be in a status.
func until(t *testing.T, c *client.Client, id string, status manager.Status) manager.Task {
	t.Helper()
	for e, err := range c.Watch(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Task.Status == status {
			return e.Task
		}
	}
	t.Fatalf("the task ended, and never was %s", status)
	return manager.Task{}
}

// upper is a task that makes letters large.
func upper(text string) manager.Spec { return manager.ProcessorTask(text, "upper") }

// spin is a task that does not end by itself.
func spin() manager.Spec { return manager.ProcessorTask("", "progress:wait") }

// contains fails unless an error's message has some text.
func contains(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("no %q in %v", text, err)
	}
}
