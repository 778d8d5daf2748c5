package ui_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/builtin"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/internal/httpapi/ui"
	"github.com/taskhost/taskhost/internal/plugindir"
	"github.com/taskhost/taskhost/manager"
)

// One server and one browser do for all tests of the package: each test looks after tasks and plugins of its own.
func TestMain(m *testing.M) {
	code := m.Run()
	closeBrowser()
	for _, s := range systems {
		s.close()
	}
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var systems []*system

// system is a server with everything behind it.
type system struct {
	url    string
	dir    string // the plugin folder
	host   *host.Host
	tasks  *manager.Manager
	api    *httpapi.API
	client *client.Client
	closes []func()
}

func (s *system) close() {
	for _, closes := range slices.Backward(s.closes) {
		closes()
	}
}

// shared is the server of most tests.
var shared = sync.OnceValues(func() (*system, error) {
	return newSystem(manager.Config{MaxConcurrent: 32}, "agent", "text", "markdown", "chatty=sdk-go", "bare=upper-wat")
})

func server(t testing.TB) *system {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// build is the folder that make plugins fills.
var build = filepath.Join("..", "..", "..", "build")

// wasm is the file of a plugin that make plugins built.
func wasm(name string) (string, error) {
	for _, dir := range []string{"plugins", "testdata", "testdata/broken"} {
		file := filepath.Join(build, dir, name+".wasm")
		if _, err := os.Stat(file); err == nil {
			return filepath.Abs(file)
		}
	}
	return "", fmt.Errorf("there is no plugin %s; run make plugins first", name)
}

// newSystem makes a server with plugins of the build folder, each as name or name=file.
func newSystem(cfg manager.Config, plugins ...string) (s *system, err error) {
	s = &system{}
	systems = append(systems, s)
	if s.dir, err = os.MkdirTemp("", "taskhost-ui-*"); err != nil {
		return nil, err
	}
	s.closes = append(s.closes, func() { _ = os.RemoveAll(s.dir) })
	for _, p := range plugins {
		name, file, ok := strings.Cut(p, "=")
		if !ok {
			file = name
		}
		if err := s.install(name, file); err != nil {
			return nil, err
		}
	}
	events := httpapi.NewEvents(httpapi.EventsConfig{})
	ctx := context.Background()
	folder, err := plugindir.Open(plugindir.Config{Path: s.dir, Scripts: builtin.Extensions})
	if err != nil {
		return nil, err
	}
	s.closes = append(s.closes, folder.Close)
	s.host, err = host.New(ctx, host.Config{Dir: s.dir, Interpreters: builtin.Interpreters(), WatchInterval: 5 * time.Millisecond, MaxInstances: 64, OnEvent: func(e host.Event) {
		folder.HostEvent(e)
		events.HostEvent(e)
	}})
	if err != nil {
		return nil, err
	}
	s.closes = append(s.closes, func() { _ = s.host.Close(ctx) })
	cfg.OnEvent = events.TaskEvent
	if s.tasks, err = manager.New(s.host, cfg); err != nil {
		return nil, err
	}
	s.closes = append(s.closes, func() {
		ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		_ = s.tasks.Stop(ctx) // what still runs is cut off
	}, events.Close)
	if err = s.tasks.Start(ctx); err != nil {
		return nil, err
	}
	s.api, err = httpapi.New(httpapi.Config{Tasks: s.tasks, Host: s.host, Events: events, Plugins: folder, Version: "1.2.3"})
	if err != nil {
		return nil, err
	}
	s.closes = append(s.closes, s.api.Close)
	if s.url, err = s.listen(withRole, nil); err != nil {
		return nil, err
	}
	s.client, err = client.New(client.Config{BaseURL: s.url})
	s.closes = append(s.closes, s.client.Close)
	return s, err
}

func (s *system) install(name, file string) error {
	from, err := wasm(file)
	if err != nil {
		return err
	}
	for _, ext := range []string{".json", ".wasm"} {
		data, err := os.ReadFile(strings.TrimSuffix(from, ".wasm") + ext)
		if os.IsNotExist(err) {
			continue
		}
		tmp := filepath.Join(s.dir, "."+name+ext)
		if err == nil {
			err = os.WriteFile(tmp, data, 0o600)
		}
		if err == nil {
			err = os.Rename(tmp, filepath.Join(s.dir, name+ext))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listen listens as taskhost serve does: the API under /v1, the pages elsewhere, and before them who lets requests in.
func (s *system) listen(lets func(http.Handler) http.Handler, tokens func() bool) (url string, err error) {
	pages, err := ui.New(ui.Config{API: s.api, Version: "1.2.3", Tokens: tokens})
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", s.api)
	mux.Handle("/openapi.json", s.api)
	mux.Handle("/", pages)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := httpapi.HTTPServer(lets(mux), httpapi.Limits{}, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(listener)
	}()
	s.closes = append(s.closes, func() {
		_ = srv.Close()
		<-done
	})
	return "http://" + listener.Addr().String(), nil
}

// withRole makes requests with the role that the cookie "role" or the header X-Role names; default admin. Package auth has the real thing.
func withRole(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := auth.Principal{ID: "local", Name: "local", Role: auth.RoleAdmin}
		if c, err := r.Cookie("role"); err == nil {
			p.Role = auth.Role(c.Value)
		}
		if v := r.Header.Get("X-Role"); v != "" {
			p.Role = auth.Role(v)
		}
		h.ServeHTTP(w, r.WithContext(auth.With(r.Context(), p)))
	})
}

// submit submits a task and fails the test when that fails.
func (s *system) submit(t testing.TB, spec manager.Spec) manager.Task {
	t.Helper()
	task, err := s.tasks.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// ended waits for a task to end, however it does.
func (s *system) ended(t testing.TB, id string) manager.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	task, err := s.tasks.Result(ctx, id)
	if err != nil && !task.Status.Final() {
		t.Fatal(err)
	}
	return task
}

// until waits for something to become true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still not so: %s", what)
		}
	}
}

// unique is a name that no test has used, also not in a run before of the same process.
func unique(name string) string { return fmt.Sprintf("%s-%d", name, time.Now().UnixNano()) }

// slow is a task that counts for about a time.
func slow(name string, steps, delay int) manager.Spec {
	spec := manager.AgentTask("agent", "count", map[string]any{"steps": steps, "delay_ms": delay})
	spec.Name = name
	return spec
}
