// Package httpapi serves tasks and plugins over HTTP: the API under /v1, its OpenAPI document, and live events.
//
// [New] makes the handler from a manager and a host. It trusts the auth.Principal in a request's context, which the middleware of package
// auth puts there; a request without one may do nothing. [Events] is the hub of live events: its TaskEvent goes into
// manager.Config.OnEvent. [HTTPServer] makes an http.Server with the limits that keep slow and hostile clients from holding it.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/plugindir"
	"github.com/taskhost/taskhost/manager"
)

// Config is what an API is made with. Tasks and Host are needed; every other zero field means its default.
type Config struct {
	Tasks *manager.Manager
	Host  *host.Host
	// Plugins changes the files of the plugin folder. Default: uploads and removals are refused, and a rollback lasts until the restart.
	Plugins *plugindir.Dir
	// Events is the hub of live events. Default: there are no events, and no history.
	Events *Events

	// Audit, when set, is told of every change of what others made or use: who is in ctx, the error is nil when it was done.
	Audit func(ctx context.Context, action, object string, err error)
	// AuditLog, when set, returns the last entries of the audit log, newest first, each a JSON object. Default: GET /v1/audit is empty.
	AuditLog func(ctx context.Context, limit int) ([]AuditEntry, error)

	// Logger gets faults of the server itself. Default: they are discarded.
	Logger *slog.Logger
	// Version of the program, for GET /v1/stats and the OpenAPI document. Default: "dev".
	Version string
	// DryRun is the host that tries out an upload with ?dry_run=true; its Dir, OnEvent and Logger are not looked at. It should have the
	// limits and the cache of Host. Default: the defaults.
	DryRun host.Config
	// Limits bound what requests may use.
	Limits Limits
}

// API is the handler of /v1 and of the OpenAPI document. Make one with New.
type API struct {
	cfg      Config
	mux      *http.ServeMux
	huma     huma.API
	started  time.Time
	waiting  atomic.Int64  // requests that wait for the end of a task
	uploads  chan struct{} // one token for each upload that comes in
	compiles chan struct{} // one for each that is compiled
	bodies   bodyRoom      // of large bodies
	document func() []byte // the OpenAPI document, made when it is first asked for
	history  *history
}

// New makes an API. The error is CodeInvalid and says what is missing. The caller must call [API.Close].
func New(cfg Config) (*API, error) {
	switch {
	case cfg.Tasks == nil:
		return nil, abi.Errorf(abi.CodeInvalid, "httpapi: Config.Tasks is missing")
	case cfg.Host == nil:
		return nil, abi.Errorf(abi.CodeInvalid, "httpapi: Config.Host is missing")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Audit == nil {
		cfg.Audit = func(context.Context, string, string, error) {}
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	cfg.Limits = cfg.Limits.withDefaults()
	a := &API{
		cfg: cfg, mux: http.NewServeMux(), started: time.Now(), uploads: make(chan struct{}, maxUploads), compiles: make(chan struct{}, maxCompiles),
	}
	a.bodies.most = 4 * max(cfg.Limits.MaxInput, cfg.Limits.MaxUpload) // there is room for one that is within its own bound
	a.huma = newHuma(a)
	a.addTasks()
	a.addSubmit()
	a.addBytes()
	a.addBatches()
	a.addBulk()
	a.addEvents()
	a.addPlugins()
	a.addQueues()
	a.addSchedules()
	a.addAgents()
	a.addStats()
	a.addDocument()
	a.history = startHistory(cfg.Tasks, cfg.Events)
	return a, nil
}

// Close ends what the API does in the background. Live events end with [Events.Close].
func (a *API) Close() { a.history.close() }

// Handler returns the API itself, for those who want an http.Handler by its name.
func (a *API) Handler() http.Handler { return a }

// Document returns the OpenAPI 3.1 document as JSON.
func (a *API) Document() []byte { return a.document() }

// ServeHTTP serves a request. Every answer that is an error is application/problem+json.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer a.recover(w, r)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if p := r.URL.Path; p == "" || p[0] != '/' || path.Clean(p) != strings.TrimSuffix(p, "/") || strings.IndexByte(p, 0) >= 0 {
		a.fail(w, r, abi.Errorf(abi.CodeNotFound, "there is no such path"))
		return
	}
	if q := r.URL.RawQuery; q != "" && !validQuery(q) {
		a.fail(w, r, abi.Errorf(abi.CodeInvalid, "the query cannot be read: it has a broken escape, a semicolon, or is not UTF-8"))
		return
	}
	if a.submitFast(w, r) {
		return
	}
	a.mux.ServeHTTP(w, r)
}

// validQuery reports whether all of a query can be read; net/http leaves out what cannot.
func validQuery(q string) bool {
	if strings.IndexByte(q, ';') >= 0 || !utf8.ValidString(q) {
		return false
	}
	if strings.IndexByte(q, '%') < 0 {
		return true
	}
	text, err := url.QueryUnescape(q)
	return err == nil && utf8.ValidString(text)
}

// recover answers a request whose handler panicked, and tells the log.
func (a *API) recover(w http.ResponseWriter, r *http.Request) {
	fault := recover()
	if fault == nil {
		return
	}
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(fault)
	}
	a.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "a request's handler panicked", slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))
	a.fail(w, r, abi.Errorf(abi.CodeInternal, "a fault of the server; its log has more"))
}

// nothing answers requests that no operation takes: another method, or another path.
func (a *API) nothing(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		try := *r
		try.Method = method
		if _, pattern := a.mux.Handler(&try); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		a.fail(w, r, abi.Errorf(abi.CodeNotFound, "there is no such path"))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	p := newProblem(abi.Errorf(abi.CodeInvalid, "%.20q is no method of this path: %s", r.Method, strings.Join(allowed, ", ")))
	p.setStatus(http.StatusMethodNotAllowed)
	p.write(w, r)
}
