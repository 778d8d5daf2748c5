package auth

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Config is what an Authenticator is made with. The zero value works: no tokens, so that everybody is a local admin, on loopback alone.
type Config struct {
	// Tokens are the tokens that there are. Nil, or as long as Tokens.Required is false: none are needed. Requests are then accepted only
	// on loopback addresses and unix sockets, under a host name that means loopback, and not through a proxy.
	Tokens *File
	// Open are paths that need no token; one that ends in "/" stands for everything below it.
	// Default: /login, /assets/, /healthz, /readyz.
	Open []string
	// TrustedProxies are the addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Default: none are.
	TrustedProxies []netip.Prefix
	// LoginPage, when set, answers a browser whose POST /login failed: with the status and a message to show.
	// Default: it is sent back to /login?failed=denied or ?failed=limited.
	LoginPage func(w http.ResponseWriter, r *http.Request, status int, message string)
	// OnEvent, when set, hears of logins, and of requests that were refused for what they showed. It must be quick. How often it hears of
	// refused ones is bounded.
	OnEvent func(Event)
}

// EventKind says what an Event is about.
type EventKind string

// The kinds of events.
const (
	EventLogin   EventKind = "login"
	EventLogout  EventKind = "logout"
	EventDenied  EventKind = "login_failed"  // a wrong token, in a request or a login
	EventLimited EventKind = "login_limited" // an address that failed too often
)

// Event is something that the audit log tells.
type Event struct {
	Kind      EventKind
	Principal Principal // of those who logged in or out
	Address   string
	Omitted   int // events like this one that were not told since the last
}

// Authenticator finds out who makes a request. Make one with New. It is safe for concurrent use.
type Authenticator struct {
	cfg      Config
	sessions *sessions
	limiter  *limiter
	cross    *http.CrossOriginProtection

	mu      sync.Mutex // of the budget of events
	told    float64
	toldAt  time.Time
	omitted map[EventKind]int
}

// What is told of refused requests: so many at once, and then one a second.
const tellBurst = 60

const (
	cookiePlain  = "taskhost_session"
	cookieSecure = "__Host-taskhost" // browsers take it over TLS alone, from this host alone
	maxLogin     = 8 << 10           // bytes of a POST /login
)

// New makes an Authenticator.
func New(cfg Config) *Authenticator {
	if cfg.Open == nil {
		cfg.Open = []string{"/login", "/assets/", "/healthz", "/readyz"}
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	a := &Authenticator{cfg: cfg, sessions: newSessions(), limiter: newLimiter(), cross: http.NewCrossOriginProtection(),
		told: tellBurst, omitted: map[EventKind]int{}}
	a.cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusForbidden, crossOrigin) }))
	return a
}

const crossOrigin = "the request comes from a page of another origin"

// Required reports whether requests need a token now.
func (a *Authenticator) Required() bool { return a.cfg.Tokens != nil && a.cfg.Tokens.Required() }

// Handler lets only those requests through to next that come from somebody, with the Principal in their context, or that go to an open
// path. It answers POST /login and POST /logout itself, and sets headers that keep browsers from doing what nobody asked them for; next
// may replace these.
func (a *Authenticator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.behindProxy(r)
		secure(w.Header())
		if status, why := a.wrongWay(r); why != "" {
			refuse(w, status, why)
			return
		}
		a.cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, next) })).ServeHTTP(w, r)
	})
}

// secure sets the headers that suit an API; pages set a wider Content-Security-Policy and may be cached.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// wrongWay refuses requests for the way on which they came.
func (a *Authenticator) wrongWay(r *http.Request) (status int, why string) {
	if site := r.Header.Get("Sec-Fetch-Site"); (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return http.StatusForbidden, crossOrigin
	}
	if a.Required() {
		return 0, ""
	}
	return local(r)
}

// serve handles a request that came the right way.
func (a *Authenticator) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodPost {
		switch r.URL.Path {
		case "/login":
			a.login(w, r)
			return
		case "/logout":
			a.logout(w, r)
			return
		}
	}
	if !a.Required() {
		next.ServeHTTP(w, a.from(r, Principal{ID: "local", Name: "local", Role: RoleAdmin}, nil, ""))
		return
	}
	e, session, problem := a.identify(r)
	switch {
	case e != nil:
		next.ServeHTTP(w, a.from(r, e.Principal(), e, session))
	case a.open(r.URL.Path):
		next.ServeHTTP(w, r)
	default:
		a.unknown(w, r, problem)
	}
}

// from is a request with who made it, and from where, in its context.
func (a *Authenticator) from(r *http.Request, p Principal, token *entry, session string) *http.Request {
	c := &caller{address: addressText(r), from: a, token: token, session: session}
	return r.WithContext(With(context.WithValue(r.Context(), callerKey{}, c), p))
}

func (a *Authenticator) open(path string) bool {
	for _, open := range a.cfg.Open {
		if path == open || strings.HasSuffix(open, "/") && strings.HasPrefix(path, open) {
			return true
		}
	}
	return false
}

// denial is why nobody is behind a request.
type denial struct {
	shown bool          // a token was, and it was wrong
	wait  time.Duration // the address failed too often
}

// identify finds the token of a request, and the session that stands for it if it was not shown.
func (a *Authenticator) identify(r *http.Request) (token *entry, session string, d denial) {
	if text := r.Header.Get("Authorization"); text != "" {
		scheme, shown, _ := strings.Cut(text, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, "", denial{shown: true}
		}
		token, d = a.try(r, strings.TrimSpace(shown))
		return token, "", d
	}
	for _, c := range r.CookiesNamed(cookieName(r)) {
		if e, ok := a.sessions.find(c.Value, time.Now(), a.cfg.Tokens.still); ok {
			return e, c.Value, denial{}
		}
	}
	return nil, "", denial{}
}

// try looks at a token that somebody shows.
func (a *Authenticator) try(r *http.Request, token string) (*entry, denial) {
	e, ok := a.cfg.Tokens.check(token)
	var id string
	if ok {
		id = e.ID
	}
	if wait := a.limiter.attempt(address(r), id, time.Now()); wait > 0 {
		a.tell(EventLimited, r)
		return nil, denial{wait: wait}
	}
	if !ok {
		a.tell(EventDenied, r)
		return nil, denial{shown: true}
	}
	return e, denial{}
}

// unknown answers a request of nobody: a person is shown where to log in, a program is told.
func (a *Authenticator) unknown(w http.ResponseWriter, r *http.Request, d denial) {
	switch {
	case d.wait > 0:
		refuseLimited(w, d.wait)
	case d.shown:
		w.Header().Set("WWW-Authenticate", `Bearer realm="taskhost", error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, "the token is wrong, has expired, or was removed")
	case r.Header.Get("HX-Request") != "":
		w.Header().Set("HX-Redirect", "/login")
		refuse(w, http.StatusUnauthorized, "log in first")
	case browsing(r):
		http.Redirect(w, r, "/login?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
	default:
		w.Header().Set("WWW-Authenticate", `Bearer realm="taskhost"`)
		refuse(w, http.StatusUnauthorized, "this server wants a token: Authorization: Bearer th_…; an admin makes one with taskhost token create")
	}
}

// browsing tells whether a person waits for a page.
func browsing(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") &&
		!strings.HasPrefix(r.URL.Path, "/v1/")
}

// Only lets requests through that a principal of at least the role makes.
func Only(role Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := Require(r.Context(), role); err != nil {
			refuse(w, http.StatusForbidden, errorMessage(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tell tells of a refused request, unless there were too many.
func (a *Authenticator) tell(kind EventKind, r *http.Request) {
	a.mu.Lock()
	now := time.Now()
	a.told = min(tellBurst, a.told+now.Sub(a.toldAt).Seconds())
	a.toldAt = now
	if a.told < 1 {
		a.omitted[kind]++
		a.mu.Unlock()
		return
	}
	a.told--
	omitted := a.omitted[kind]
	a.omitted[kind] = 0
	a.mu.Unlock()
	a.cfg.OnEvent(Event{Kind: kind, Address: addressText(r), Omitted: omitted})
}

func refuseLimited(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	refuse(w, http.StatusTooManyRequests, "too many wrong tokens from this address: try again in "+wait.String())
}

func errorMessage(err error) string {
	if e, ok := err.(*abi.Error); ok { //nolint:errorlint // of Require
		return e.Message
	}
	return err.Error()
}
