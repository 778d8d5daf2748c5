// Package overhttp measures the HTTP API: submits beside a bare handler of net/http in the same run, and streams of events that idle.
package overhttp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// What is measured.
const (
	rounds  = 5               // in which the sides take turns
	took    = 2 * time.Second // each, after some time to get warm
	warm    = 300 * time.Millisecond
	idle    = 10_000 // streams
	payload = `{"steps":["noop"],"content":"hello"}`
)

var connections = []int{1, 64, 1000}

// Run prints the tables. noop is a plugin that does nothing.
func Run(ctx context.Context, noop []byte) (err error) {
	dir, err := os.MkdirTemp("", "taskhost-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := open(ctx, dir, noop)
	if err != nil {
		return err
	}
	defer func() { err = first(err, s.close()) }()
	bare, err := serve(http.HandlerFunc(bareHandler))
	if err != nil {
		return err
	}
	defer bare.close()
	fmt.Printf("\nSubmits over HTTP, %d bytes, load generator and tasks on the same cores; medians of %d rounds of %v\n\n", len(payload), rounds, took)
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "connections\tserver\tsubmits/s\tp50\tp99\t")
	for _, n := range connections {
		sides := []struct {
			name, addr string
			results    []result
		}{{"net/http, which answers", bare.addr, nil}, {"taskhost, durable, and runs them", s.server.addr, nil}}
		for range rounds {
			for i := range sides {
				r, err := load(ctx, sides[i].addr, n)
				if err != nil {
					return err
				}
				sides[i].results = append(sides[i].results, r)
				if err := s.drain(ctx); err != nil {
					return err
				}
			}
		}
		for _, side := range sides {
			r := median(side.results)
			fmt.Fprintf(w, "%d\t%s\t%.0f\t%v\t%v\t\n", n, side.name, r.rate, r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return s.streams(ctx)
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func median(list []result) result {
	slices.SortFunc(list, func(a, b result) int { return int(a.rate - b.rate) })
	return list[len(list)/2]
}

// bareHandler does what any submit must: it reads the body, and answers.
func bareHandler(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, bareAnswer)
}

// bareAnswer is as long as that of taskhost.
const bareAnswer = `{"id":"01a21064-13ea-732a-9726-bcd17ab0766a","spec":{"name":"noop","kind":"processor","steps":["noop"],"retry":{"max_attempts":1,` +
	`"backoff":"1s","max_backoff":"1m0s"},"queue":"default"},"status":"pending","progress":0,"current_step":0,"total_steps":1,` +
	`"created_at":"2026-11-25T00:00:00.123456789Z","attempt":0,"input_bytes":5,"usage":{"wait_ns":0,"duration_ns":0,"peak_memory":0,"ticks":0},"revision":1}`

// server is a listening server.
type server struct {
	http *http.Server
	addr string
	done chan error
}

func serve(h http.Handler) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{http: httpapi.HTTPServer(h, httpapi.Limits{}, slog.New(slog.DiscardHandler)), addr: l.Addr().String(), done: make(chan error, 1)}
	go func() { s.done <- s.http.Serve(httpapi.Listener(l, httpapi.Limits{})) }()
	return s, nil
}

func (s *server) close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// system is taskhost's server and what is behind it.
type system struct {
	host   *host.Host
	store  *sqlitestore.Store
	tasks  *manager.Manager
	events *httpapi.Events
	api    *httpapi.API
	server *server
}

func open(ctx context.Context, dir string, noop []byte) (s *system, err error) {
	s = &system{events: httpapi.NewEvents(httpapi.EventsConfig{})}
	if s.host, err = host.New(ctx, host.Config{OnEvent: s.events.HostEvent}); err != nil {
		return nil, err
	}
	if _, err = s.host.Swap(ctx, "noop", host.Source{Wasm: noop}); err != nil {
		return nil, err
	}
	if s.store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(dir, "tasks.db")}); err != nil {
		return nil, err
	}
	if s.tasks, err = manager.New(s.host, manager.Config{Store: s.store, MaxQueue: 1_000_000, OnEvent: s.events.TaskEvent, KeepOnStop: true}); err == nil {
		err = s.tasks.Start(ctx)
	}
	if err != nil {
		return nil, err
	}
	if s.api, err = httpapi.New(httpapi.Config{Tasks: s.tasks, Host: s.host, Events: s.events}); err != nil {
		return nil, err
	}
	admin := auth.Principal{ID: "local", Name: "local", Role: auth.RoleAdmin}
	s.server, err = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.api.ServeHTTP(w, r.WithContext(auth.With(r.Context(), admin)))
	}))
	return s, err
}

func (s *system) close() error {
	s.events.Close()
	s.api.Close()
	err := s.server.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = first(err, s.tasks.Stop(ctx))
	err = first(err, s.host.Close(ctx))
	return first(err, s.store.Close(ctx))
}

// drain waits until no task is left, so that each round begins alike.
func (s *system) drain(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := s.tasks.Stats(ctx)
		if err != nil || st.Counts.Pending+st.Counts.Running == 0 {
			return err
		}
		<-tick.C
	}
}
