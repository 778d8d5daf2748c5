package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/audit"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/monitor"
)

// serveHTTP answers a request that the middleware let through.
func (s *service) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		r.Pattern = r.URL.Path
		answerText(w, nil) // it answers, so it lives
		return
	}
	if h := s.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/readyz" {
		r.Pattern = r.URL.Path
		s.ready.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the server is starting","code":"unavailable"}` + "\n"))
}

// openAPI makes the API, the pages and what is beside them.
func (s *service) openAPI(context.Context) (err error) {
	s.api, err = httpapi.New(httpapi.Config{
		Tasks: s.tasks, Host: s.host, Plugins: s.plugins, Events: s.events, Audit: s.record, AuditLog: s.lastRecords, Logger: s.log.Logger, Version: version,
		Limits: s.limits(),
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", s.api)
	mux.Handle("/openapi.json", s.api)
	mux.Handle("/openapi.yaml", s.api)
	mux.Handle("GET /readyz", s.ready)
	metrics := s.monitor.Handler()
	if s.cfg.MetricsAuth != "none" {
		metrics = auth.Only(auth.RoleRead, metrics)
	}
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /v1/debug/bundle", auth.Only(auth.RoleAdmin, http.HandlerFunc(s.serveBundle)))
	for path, h := range map[string]http.HandlerFunc{ // not cmdline, which may show a plugin's settings
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile, "/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle("GET "+path, auth.Only(auth.RoleAdmin, h))
	}
	if err := s.addPages(mux); err != nil {
		return err
	}
	h := monitor.Route(mux)
	s.handler.Store(&h)
	return nil
}

// record writes into the audit log what was done, or was tried.
func (s *service) record(ctx context.Context, action, object string, err error) {
	e := audit.Entry{Principal: auth.From(ctx), Address: auth.Address(ctx), Action: action, Object: object, Result: "ok"}
	if e.Principal.ID == "" {
		e.Principal = auth.Principal{ID: "server", Name: "server"}
	}
	if problem := abi.AsError(err); problem != nil {
		e.Result, e.Error = string(problem.Code), problem.Message
	}
	s.audit.Add(e)
}

// lastRecords is what GET /v1/audit shows.
func (s *service) lastRecords(_ context.Context, limit int) ([]httpapi.AuditEntry, error) {
	entries, err := s.audit.Last(limit)
	if err != nil {
		return nil, err
	}
	list := make([]httpapi.AuditEntry, 0, len(entries))
	for _, e := range entries {
		one := httpapi.AuditEntry{Time: e.Time, Principal: e.Principal, Remote: e.Address, Action: e.Action, Object: e.Object, Error: e.Error}
		if e.Result != "ok" {
			one.Code = abi.Code(e.Result)
		}
		list = append(list, one)
	}
	return list, nil
}

// authEvent writes logins, and tokens that were wrong, into the audit log.
func (s *service) authEvent(e auth.Event) {
	entry := audit.Entry{Principal: e.Principal, Address: e.Address, Action: string(e.Kind), Result: "ok"}
	if e.Kind == auth.EventDenied || e.Kind == auth.EventLimited {
		entry.Result = string(abi.CodeDenied)
		if e.Omitted > 0 {
			entry.Error = fmt.Sprintf("%d more like this one were left out", e.Omitted)
		}
	}
	s.audit.Add(entry)
}
