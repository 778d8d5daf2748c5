// Package ui serves the web page of a server: what runs, what failed, plugins, queues, schedules, and the buttons for them.
//
// The pages are rendered here from html/template and need no script to be read or used; scripts keep them up to date. Everything is
// embedded. The package knows only the public API: it is a client of it in the same process, and makes each request as whoever asked
// for the page.
package ui

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/internal/auth"
)

// Config is what the pages are made with. API is needed; every other zero field means its default.
type Config struct {
	// API serves /v1. Its requests come with the context of the page's request, and so with its auth.Principal.
	API http.Handler
	// Version of the program, for the foot of the pages. Default: "dev".
	Version string
	// Tokens tells, for each page anew, whether the server wants a token, so that there are a page to log in and a button to log out.
	// Default: everybody is in.
	Tokens func() bool
	// Logger gets faults of the server itself. Default: they are discarded.
	Logger *slog.Logger
}

// policy lets a page load what this server serves, and nothing else: no script or style inside the page, no frame around it.
const policy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// maxForm bounds a form that is no upload. An upload is bounded by the API.
const (
	maxForm   = 20 << 20
	maxUpload = 130 << 20
)

//go:embed templates/*.html
var templateFiles embed.FS

// server is the handler of all pages.
type server struct {
	cfg   Config
	api   *client.Client
	pages map[string]*template.Template
	files *assets
	mux   *http.ServeMux
}

// New makes the handler of the pages: everything but /v1, which the caller routes to the API. The error is CodeInvalid.
func New(cfg Config) (http.Handler, error) {
	if cfg.API == nil {
		return nil, abi.Errorf(abi.CodeInvalid, "ui: Config.API is missing")
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Tokens == nil {
		cfg.Tokens = func() bool { return false }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	api, err := client.New(client.Config{
		BaseURL: "http://127.0.0.1", RetryFor: -1, UserAgent: "taskhost-page", HTTPClient: &http.Client{Transport: inProcess{cfg.API}},
	})
	if err != nil {
		return nil, err
	}
	files, err := newAssets()
	if err != nil {
		return nil, err
	}
	pages, err := parse(files)
	if err != nil {
		return nil, err
	}
	s := &server{cfg: cfg, api: api, pages: pages, files: files, mux: http.NewServeMux()}
	s.routes()
	return s, nil
}

func (s *server) routes() {
	page := func(pattern string, h func(*request) error) {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, h) })
	}
	page("GET /{$}", s.overview)
	page("GET /tasks", s.tasks)
	page("GET /tasks/{id}", s.task)
	page("POST /tasks/{id}/{action}", s.taskAction)
	page("POST /tasks", s.bulk)
	page("GET /plugins", s.plugins)
	page("POST /plugins", s.upload)
	page("GET /plugins/{name}", s.plugin)
	page("POST /plugins/{name}/{action}", s.pluginAction)
	page("GET /queues", s.queues)
	page("POST /queues", s.queueAction)
	page("GET /schedules", s.schedules)
	page("POST /schedules", s.scheduleAdd)
	page("POST /schedules/{name}/{action}", s.scheduleAction)
	page("GET /login", s.login)
	s.mux.Handle("GET /assets/{file...}", s.files)
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.files.path("icon.svg"), http.StatusFound)
	})
	page("/", func(q *request) error {
		if q.r.Method != http.MethodGet && q.r.Method != http.MethodHead {
			return abi.Errorf(abi.CodeInvalid, "there is no form that is sent here")
		}
		return abi.Errorf(abi.CodeNotFound, "there is no page at %.200q", q.r.URL.Path)
	})
}

// ServeHTTP serves a page, an asset, or what a form asks for.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	s.mux.ServeHTTP(w, r)
}

// request is one request for a page.
type request struct {
	r       *http.Request
	w       http.ResponseWriter
	s       *server
	partial bool // htmx asks for the part that changes, not for the whole page
}

func (q *request) ctx() context.Context { return q.r.Context() }

func (s *server) serve(w http.ResponseWriter, r *http.Request, h func(*request) error) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "HX-Request")
	q := &request{r: r, w: w, s: s, partial: r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-History-Restore-Request") != "true"}
	if r.Method == http.MethodPost {
		limit := int64(maxForm)
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			limit = maxUpload
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
	}
	if err := h(q); err != nil {
		q.fail(err)
	}
}

// base is what every page shows. Views embed it.
type base struct {
	Title   string
	Nav     string // the entry of the navigation that the page belongs to
	Version string
	Who     auth.Principal
	Tokens  bool
	Now     time.Time
	Notice  *notice
	Path    string // of this page, with its query
	Assets  *assets
}

// Can tells whether who looks at the page may do what needs a role. Buttons that lead to nothing are not shown.
func (b *base) Can(role string) bool { return b.Who.Role.Allows(auth.Role(role)) }

// notice tells what came of the form before.
type notice struct {
	Mood string // ok, bad, warn
	Text string
}

func (q *request) base(nav, title string) base {
	return base{
		Title: title, Nav: nav, Version: q.s.cfg.Version, Who: auth.From(q.ctx()), Tokens: q.s.cfg.Tokens(), Now: time.Now(),
		Notice: q.notice(), Path: q.r.URL.RequestURI(), Assets: q.s.files,
	}
}

// render writes a page, or, for htmx, one part of it.
func (q *request) render(status int, page, part string, view any) error {
	name := "layout"
	if q.partial && part != "" {
		name = part
	}
	var out bytes.Buffer
	if err := q.s.pages[page].ExecuteTemplate(&out, name, view); err != nil {
		return abi.Errorf(abi.CodeInternal, "the page cannot be made: %w", err)
	}
	h := q.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(out.Bytes()) // nobody is there any more
	return nil
}

// done answers a form: the browser gets the page that it leads to, with a notice.
func (q *request) done(to, message string, n int) error {
	if to == "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		to = "/"
	}
	u, err := url.Parse(to)
	if err != nil {
		u = &url.URL{Path: "/"}
	}
	query := u.Query()
	query.Set("done", message)
	query.Del("n")
	if n != 0 {
		query.Set("n", strconv.Itoa(n))
	}
	u.RawQuery = query.Encode()
	http.Redirect(q.w, q.r, u.String(), http.StatusSeeOther)
	return nil
}

// messages are what can be said after a form. The address names one of them, so that it cannot say anything else.
var messages = map[string]string{
	"cancel": "Cancel was asked for.", "retry": "The task is in the queue again.", "delete": "The task is deleted.",
	"bulk-cancel": "Cancelled: %n.", "bulk-retry": "Put back into the queue: %n.", "bulk-delete": "Deleted: %n.",
	"upload": "The plugin is loaded.", "checked": "The plugin compiles and starts. Nothing was changed.",
	"rollback": "The older version is current again.", "disable": "The plugin is disabled: its tasks wait.", "enable": "The plugin is enabled.",
	"remove": "The plugin is removed.", "limit": "The limits are set.", "pause": "Paused.", "resume": "It goes on.",
	"schedule": "The schedule is set.", "schedule-delete": "The schedule is deleted.",
}

func (q *request) notice() *notice {
	query := q.r.URL.Query()
	text, ok := messages[query.Get("done")]
	if !ok || q.partial {
		return nil
	}
	n, err := strconv.Atoi(query.Get("n"))
	if strings.Contains(text, "%n") {
		if err != nil || n < 0 {
			n = 0
		}
		text = strings.Replace(text, "%n", plural(n, "task", "tasks"), 1)
	}
	return &notice{Mood: "ok", Text: text}
}

// confirmed asks, on a page of its own, whether what a form wants is meant; true when that page was answered. The form's fields go on.
func (q *request) confirmed(nav, title, text, button string) (bool, error) {
	if q.r.PostFormValue("confirm") == "yes" {
		return true, nil
	}
	view := struct {
		base
		Text, Button, Back string
		Fields             url.Values
	}{base: q.base(nav, title), Text: text, Button: button, Back: q.back("/"), Fields: q.r.PostForm}
	q.partial = false
	return false, q.render(http.StatusOK, "confirm", "", view)
}

// back is the page that a form was on.
func (q *request) back(otherwise string) string {
	if b := q.r.PostFormValue("back"); strings.HasPrefix(b, "/") && !strings.HasPrefix(b, "//") {
		return b
	}
	return otherwise
}
