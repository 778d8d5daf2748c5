package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/builtin"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/internal/plugindir"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is a server with everything behind it.
type system struct {
	t      testing.TB
	dir    string // the plugin folder
	host   *host.Host
	tasks  *manager.Manager
	events *httpapi.Events
	api    *httpapi.API
	folder *plugindir.Dir
	server *httptest.Server
	client *http.Client
	audit  *auditLog
}

// setup is what a test changes of a system.
type setup struct {
	plugins []string // of build/testdata and build/plugins, as name or name=file
	dir     string   // the plugin folder; default: a new one
	durable bool
	api     httpapi.Config
	tasks   manager.Config
	host    host.Config
	events  httpapi.EventsConfig
	role    auth.Role     // of requests that name none; default admin
	write   time.Duration // the write timeout of the server; default that of httpapi.HTTPServer
}

// guest reads a plugin that make plugins built.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	for _, dir := range []string{"testdata", "plugins"} {
		if b, err := os.ReadFile(filepath.Join("..", "..", "build", dir, name+".wasm")); err == nil {
			return b
		}
	}
	t.Fatalf("there is no plugin %s; run make plugins first", name)
	return nil
}

// install puts a file into a folder at once.
func install(t testing.TB, file string, data []byte) {
	t.Helper()
	tmp := filepath.Join(filepath.Dir(file), ".new")
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, file); err != nil {
		t.Fatal(err)
	}
}

// start makes a system and takes it down when the test ends.
func start(t testing.TB, o setup) *system {
	t.Helper()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	s := &system{t: t, dir: o.dir, events: httpapi.NewEvents(o.events)}
	for _, p := range o.plugins {
		name, file, ok := strings.Cut(p, "=")
		if !ok {
			file = name
		}
		install(t, filepath.Join(s.dir, name+".wasm"), guest(t, file))
	}
	ctx := context.Background()
	var err error
	if s.folder, err = plugindir.Open(plugindir.Config{Path: s.dir, Scripts: builtin.Extensions}); err != nil {
		t.Fatal(err)
	}
	o.host.Dir, o.host.Interpreters = s.dir, builtin.Interpreters()
	o.host.OnEvent = func(e host.Event) {
		s.folder.HostEvent(e)
		s.events.HostEvent(e)
	}
	if o.host.WatchInterval == 0 {
		o.host.WatchInterval = 5 * time.Millisecond
	}
	if s.host, err = host.New(ctx, o.host); err != nil {
		t.Fatal(err)
	}
	var store *sqlitestore.Store
	if o.durable {
		if store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(t.TempDir(), "tasks.db"), Relaxed: true}); err != nil {
			t.Fatal(err)
		}
		o.tasks.Store, o.tasks.KeepOnStop = store, true
	}
	o.tasks.OnEvent = s.events.TaskEvent
	if s.tasks, err = manager.New(s.host, o.tasks); err == nil {
		err = s.tasks.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.audit = &auditLog{}
	o.api.Tasks, o.api.Host, o.api.Events, o.api.Plugins, o.api.Audit = s.tasks, s.host, s.events, s.folder, s.audit.record
	if s.api, err = httpapi.New(o.api); err != nil {
		t.Fatal(err)
	}
	role := o.role
	if role == "" {
		role = auth.RoleAdmin
	}
	s.server = httptest.NewUnstartedServer(nil)
	s.server.Config = httpapi.HTTPServer(withRole(s.api, role), o.api.Limits, nil)
	if o.write != 0 {
		s.server.Config.WriteTimeout = o.write
	}
	s.server.Start()
	s.client = s.server.Client()
	s.client.Transport = &checker{t: t, inner: s.client.Transport, api: s.api}
	t.Cleanup(func() {
		s.events.Close()
		s.api.Close()
		s.client.Transport.(*checker).inner.(*http.Transport).CloseIdleConnections()
		s.server.Close()
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		gone, cut := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cut()
		_ = s.tasks.Stop(gone)
		if err := s.host.Close(ctx); err != nil {
			t.Error(err)
		}
		s.folder.Close()
		if store != nil {
			if err := store.Close(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// guarded is a server whose requests want tokens.
type guarded struct {
	*httptest.Server
	tokens *auth.File
	id     string // of a token for an admin
	token  string
}

// guard serves a system behind the middleware that wants tokens.
func (s *system) guard(l httpapi.Limits) *guarded {
	s.t.Helper()
	g := &guarded{Server: httptest.NewUnstartedServer(nil)}
	var err error
	if g.tokens, err = auth.OpenFile(filepath.Join(s.t.TempDir(), "tokens.json"), nil); err != nil {
		s.t.Fatal(err)
	}
	made, text, err := g.tokens.Create("admin", auth.RoleAdmin, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	g.id, g.token = made.ID, text
	mux := http.NewServeMux()
	mux.Handle("/", s.api)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	g.Config = httpapi.HTTPServer(auth.New(auth.Config{Tokens: g.tokens}).Handler(mux), l, nil)
	g.Start()
	s.t.Cleanup(func() {
		s.events.Close()
		g.Close()
	})
	return g
}

// auditLog keeps what the API tells it.
type auditLog struct {
	mu   sync.Mutex
	list []string
}

func (l *auditLog) record(ctx context.Context, action, object string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, strings.TrimSpace(auth.From(ctx).ID+" "+action+" "+object+" "+string(abi.CodeOf(err))))
}

// has reports whether an entry that begins like that was made.
func (l *auditLog) has(prefix string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.list, func(s string) bool { return strings.HasPrefix(s, prefix) })
}

// withRole makes requests with the role that the header X-Role names, as the middleware of package auth does by tokens.
func withRole(h http.Handler, role auth.Role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := auth.Principal{ID: "test", Name: "test", Role: role}
		if v := r.Header.Get("X-Role"); v != "" {
			p.Role = auth.Role(v)
		}
		if v := r.Header.Get("X-Principal"); v != "" {
			p.ID = v
		}
		h.ServeHTTP(w, r.WithContext(auth.With(r.Context(), p)))
	})
}

// reply is what a request got.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do makes a request. body is sent as it is if it is bytes or a string, else as JSON; headers are name, value, ….
func (s *system) do(method, path string, body any, headers ...string) reply {
	s.t.Helper()
	var r io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		r, contentType = bytes.NewReader(data), "application/json"
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.server.URL+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, res.Header, data}
}

// want fails the test unless the status is that, and decodes the body.
func want[T any](t testing.TB, r reply, status int) (v T) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// wantProblem fails the test unless the answer is that error.
func wantProblem(t testing.TB, r reply, status int, code abi.Code) httpapi.Problem {
	t.Helper()
	p := want[httpapi.Problem](t, r, status)
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" || p.Code != code || p.Status != status || p.Title == "" || p.Detail == "" {
		t.Fatalf("%s: %s", ct, r.body)
	}
	return p
}

// waitFor waits until something is so.
func waitFor(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	over := time.After(30 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// both runs a test on a store in memory and on one in a file.
func both(t *testing.T, test func(t *testing.T, durable bool)) {
	for name, durable := range map[string]bool{"memory": false, "file": true} {
		t.Run(name, func(t *testing.T) { test(t, durable) })
	}
}
