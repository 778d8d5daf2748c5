package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// whoami tells who makes a request.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	p := From(r.Context())
	fmt.Fprintf(w, "%s %s %s %s", p.Name, p.Role, r.RemoteAddr, Address(r.Context()))
})

// events keeps what happened.
type events struct {
	mu  sync.Mutex
	all []Event
}

func (e *events) add(one Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, one)
}

func (e *events) count(kind EventKind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		if one.Kind == kind {
			n++
		}
	}
	return n
}

// serve starts a server behind the middleware.
func serve(t *testing.T, cfg Config) (*httptest.Server, *events) {
	t.Helper()
	var e events
	cfg.OnEvent = e.add
	mux := http.NewServeMux()
	mux.Handle("/", whoami)
	mux.Handle("/operate", Only(RoleOperate, whoami))
	srv := httptest.NewServer(New(cfg).Handler(mux))
	t.Cleanup(srv.Close)
	return srv, &e
}

// request is one that a test makes; header pairs follow its method and URL.
func request(t *testing.T, client *http.Client, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// direct is a client that follows no redirects and keeps no cookies.
func direct(srv *httptest.Server) *http.Client {
	c := *srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

func TestWithoutTokens(t *testing.T) {
	srv, _ := serve(t, Config{})
	c := direct(srv)
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	for _, tc := range []struct {
		name   string
		method string
		header []string
		want   int
	}{
		{"a program of this machine", "GET", nil, 200},
		{"by name", "POST", []string{"Host", fmt.Sprint("localhost:", port)}, 200},
		{"by a name below localhost", "GET", []string{"Host", "tasks.localhost"}, 200},
		{"IPv6", "GET", []string{"Host", "[::1]:80"}, 200},
		{"a name that points here: DNS rebinding", "GET", []string{"Host", "evil.example"}, 421},
		{"likewise, changing", "POST", []string{"Host", fmt.Sprint("evil.example:", port)}, 421},
		{"a name that looks like loopback", "GET", []string{"Host", "127.0.0.1.evil.example"}, 421},
		{"another address", "GET", []string{"Host", "192.0.2.1"}, 421},
		{"through a proxy", "GET", []string{"X-Forwarded-For", "192.0.2.1"}, 403},
		{"a page of another origin changes", "POST", []string{"Origin", "https://evil.example"}, 403},
		{"a page of another port changes", "POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"a page of another origin reads", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"a link on a page of another origin", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"our own page changes", "POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
	} {
		resp, body := request(t, c, tc.method, srv.URL+"/v1/tasks", "", tc.header...)
		if resp.StatusCode != tc.want {
			t.Errorf("%s: %d %s", tc.name, resp.StatusCode, body)
		}
		if tc.want == 200 && !strings.HasPrefix(body, "local admin ") {
			t.Errorf("%s: %s", tc.name, body)
		}
		if tc.want != 200 {
			checkProblem(t, resp, body)
		}
		for _, h := range []string{"X-Content-Type-Options", "Content-Security-Policy", "X-Frame-Options", "Cross-Origin-Resource-Policy"} {
			if resp.Header.Get(h) == "" {
				t.Errorf("%s: no header %s", tc.name, h)
			}
		}
		if resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: CORS is open", tc.name)
		}
	}
	if resp, _ := request(t, c, "POST", srv.URL+"/login", "next=/tasks", "Content-Type", "application/x-www-form-urlencoded"); resp.Header.Get("Location") != "/tasks" {
		t.Errorf("login without tokens leads to %q", resp.Header.Get("Location"))
	}
}

func checkProblem(t *testing.T, resp *http.Response, body string) {
	t.Helper()
	var p struct {
		Status       int
		Code, Detail string
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != resp.StatusCode || p.Code != "denied" || p.Detail == "" ||
		resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d is no problem+json: %s", resp.StatusCode, body)
	}
}

func TestLocalOverUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(New(Config{}).Handler(whoami))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}}
	if resp, body := request(t, c, "GET", "http://taskhost/", ""); resp.StatusCode != http.StatusOK || !strings.HasPrefix(body, "local admin") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestBearer(t *testing.T) {
	f := tokenFile(t)
	reader, operator := create(t, f, "looker", RoleRead), create(t, f, "op", RoleOperate)
	srv, e := serve(t, Config{Tokens: f})
	c := direct(srv)
	for _, tc := range []struct {
		path, token string
		header      []string
		want        int
	}{
		{"/v1/tasks", "Bearer " + reader, nil, 200},
		{"/v1/tasks", "bearer  " + reader, nil, 200},
		{"/v1/tasks", "Bearer " + reader, []string{"Host", "tasks.example.org"}, 200},
		{"/operate", "Bearer " + reader, nil, 403},
		{"/operate", "Bearer " + operator, nil, 200},
		{"/v1/tasks", "", nil, 401},
		{"/v1/tasks", "", []string{"Accept", "text/html"}, 401},
		{"/tasks", "", []string{"Accept", "text/html"}, 303},
		{"/tasks", "", []string{"Accept", "text/html", "HX-Request", "true"}, 401},
		{"/v1/tasks", "Bearer " + reader[:len(reader)-1], nil, 401},
		{"/v1/tasks", "Basic " + reader, nil, 401},
		{"/login", "", nil, 200},
		{"/assets/a.js", "", nil, 200},
		{"/assetsx", "", nil, 401},
		{"/healthz", "", nil, 200},
	} {
		resp, body := request(t, c, "GET", srv.URL+tc.path, "", append([]string{"Authorization", tc.token}, tc.header...)...)
		if resp.StatusCode != tc.want {
			t.Errorf("%+v: %d %s", tc, resp.StatusCode, body)
		}
		if tc.want == 401 || tc.want == 403 {
			checkProblem(t, resp, body)
		}
		if tc.want == 401 && resp.Header.Get("WWW-Authenticate") == "" && resp.Header.Get("HX-Redirect") == "" {
			t.Errorf("%+v: no WWW-Authenticate", tc)
		}
		if tc.want == 303 && resp.Header.Get("Location") != "/login?next=%2Ftasks" {
			t.Errorf("%+v: %s", tc, resp.Header.Get("Location"))
		}
	}
	if n := e.count(EventDenied); n != 1 {
		t.Errorf("%d failures were told", n)
	}
}

// TestTokensComeLater begins with a server for all, and makes a token.
func TestTokensComeLater(t *testing.T) {
	f := tokenFile(t)
	srv, _ := serve(t, Config{Tokens: f})
	c := direct(srv)
	if resp, _ := request(t, c, "GET", srv.URL, ""); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	token := create(t, f, "first", RoleAdmin)
	if resp, _ := request(t, c, "GET", srv.URL, ""); resp.StatusCode != http.StatusUnauthorized {
		t.Error(resp.Status)
	}
	if resp, _ := request(t, c, "GET", srv.URL, "", "Authorization", "Bearer "+token); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

func TestFailuresAreLimited(t *testing.T) {
	f := tokenFile(t)
	known, late := create(t, f, "known", RoleRead), create(t, f, "late", RoleRead)
	srv, e := serve(t, Config{Tokens: f})
	c := direct(srv)
	get := func(token string) *http.Response {
		resp, _ := request(t, c, "GET", srv.URL+"/v1/stats", "", "Authorization", "Bearer "+token)
		return resp
	}
	if resp := get(known); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	for i := range failBurst {
		if resp := get("th_x_" + strconv.Itoa(i)); resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("attempt %d: %s", i, resp.Status)
		}
	}
	resp := get("th_x_y")
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != http.StatusTooManyRequests || err != nil || after < 1 || after > 60 {
		t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	if resp := get(late); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a guess that is right: %s", resp.Status)
	}
	resp, body := request(t, c, "POST", srv.URL+"/login", "token="+late, "Content-Type", "application/x-www-form-urlencoded")
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a login: %s %s", resp.Status, body)
	}
	if resp := get(known); resp.StatusCode != http.StatusOK {
		t.Errorf("a client that was there before is locked out: %s", resp.Status)
	}
	if e.count(EventDenied) != failBurst || e.count(EventLimited) != 3 {
		t.Errorf("%+v", e.all)
	}
}

func TestLimiterForgivesAndForgets(t *testing.T) {
	l := newLimiter()
	now := time.Unix(1_000_000, 0)
	at := netip.MustParseAddr("2001:db8::1")
	for range failBurst {
		if wait := l.attempt(at, "", now); wait != 0 {
			t.Fatal(wait)
		}
	}
	wait := l.attempt(netip.MustParseAddr("2001:db8::ffff"), "", now) // the same network
	if wait <= 0 || wait > failEvery+time.Second {
		t.Errorf("wait %v", wait)
	}
	if wait := l.attempt(netip.MustParseAddr("2001:db8:0:1::1"), "", now); wait != 0 {
		t.Errorf("another network waits %v", wait)
	}
	if l.attempt(at, "", now.Add(wait)) != 0 || l.attempt(at, "", now.Add(wait)) == 0 {
		t.Error("one attempt is forgiven, not more or less")
	}
	for i := range 2 * maxAddresses {
		l.attempt(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "", now)
	}
	if len(l.places) != maxAddresses || l.recent.Len() != maxAddresses {
		t.Errorf("%d addresses are remembered", len(l.places))
	}
	for i := range 3 * maxKnown {
		l.attempt(at, strconv.Itoa(i), now.Add(time.Hour))
	}
	if n := len(l.places[network(at)].Value.(*place).known); n != maxKnown {
		t.Errorf("%d tokens are remembered", n)
	}
}

func TestLogin(t *testing.T) {
	f := tokenFile(t)
	token := create(t, f, "web", RoleOperate)
	srv, e := serve(t, Config{Tokens: f})
	c := direct(srv)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar = jar
	form := func(token, next string) string { return url.Values{"token": {token}, "next": {next}}.Encode() }
	const kind, urlencoded = "Content-Type", "application/x-www-form-urlencoded"

	resp, _ := request(t, c, "POST", srv.URL+"/login", form("wrong", "/tasks"), kind, urlencoded)
	if resp.StatusCode != http.StatusUnauthorized {
		t.Error(resp.Status)
	}
	resp, _ = request(t, c, "POST", srv.URL+"/login", form("wrong", "/tasks"), kind, urlencoded, "Accept", "text/html")
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/login?failed=denied&next=%2Ftasks" {
		t.Errorf("%s %s", resp.Status, resp.Header.Get("Location"))
	}
	resp, _ = request(t, c, "POST", srv.URL+"/login", form(token, "/tasks?a=b"), kind, urlencoded, "Origin", "https://evil.example")
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a login from another origin: %s", resp.Status)
	}
	resp, _ = request(t, c, "POST", srv.URL+"/login", form(token, "/tasks?a=b"), kind, urlencoded)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/tasks?a=b" {
		t.Fatalf("%s %s", resp.Status, resp.Header.Get("Location"))
	}
	set := resp.Header.Get("Set-Cookie")
	if !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") || strings.Contains(set, "Secure") || strings.Contains(set, token) {
		t.Errorf("cookie %s", set)
	}
	if resp, body := request(t, c, "GET", srv.URL+"/v1/stats", ""); resp.StatusCode != http.StatusOK || !strings.HasPrefix(body, "web operate ") {
		t.Errorf("%s %s", resp.Status, body)
	}
	resp, _ = request(t, c, "POST", srv.URL+"/v1/tasks/cancel", "", "Origin", "https://evil.example")
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another origin with the cookie: %s", resp.Status)
	}
	if resp, _ := request(t, c, "POST", srv.URL+"/logout", ""); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/login" {
		t.Error(resp.Status)
	}
	if resp, _ := request(t, c, "GET", srv.URL+"/v1/stats", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the logout: %s", resp.Status)
	}
	if e.count(EventLogin) != 1 || e.count(EventLogout) != 1 || e.count(EventDenied) != 2 {
		t.Errorf("%+v", e.all)
	}

	request(t, c, "POST", srv.URL+"/login", form(token, ""), kind, urlencoded)
	if _, err := f.Remove("web"); err != nil {
		t.Fatal(err)
	}
	if resp, _ := request(t, c, "GET", srv.URL+"/v1/stats", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token was removed, and its session goes on: %s", resp.Status)
	}
}

func TestLoginGoesNowhereElse(t *testing.T) {
	for next, want := range map[string]string{
		"/tasks": "/tasks", "/tasks?a=b#c": "/tasks?a=b#c", "": "/", "tasks": "/", "//evil.example": "/", `/\evil.example`: "/",
		"https://evil.example": "/", "javascript:alert(1)": "/", "/\t/evil.example": "/", "/%zz": "/", "http:/x": "/",
	} {
		if got := inside(next); got != want {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions()
	now := time.Unix(1_000_000, 0)
	valid := func(*entry) bool { return true }
	first := s.begin(&entry{Token: Token{ID: "other"}}, now)
	cookies := make([]string, 0, maxTokenSessions+5)
	for range maxTokenSessions + 5 {
		cookies = append(cookies, s.begin(&entry{Token: Token{ID: "one"}}, now))
	}
	if _, ok := s.find(cookies[4], now, valid); ok || s.order.Len() != maxTokenSessions+1 {
		t.Errorf("%d sessions", s.order.Len())
	}
	if _, ok := s.find(first, now, valid); !ok {
		t.Error("one token's sessions ended another's")
	}
	for i := range 2 * maxSessions {
		s.begin(&entry{Token: Token{ID: strconv.Itoa(i)}}, now)
	}
	if s.order.Len() != maxSessions || len(s.byKey) != maxSessions || len(s.count) > maxSessions {
		t.Errorf("%d sessions", s.order.Len())
	}
	c := s.begin(&entry{Token: Token{ID: "idle"}}, now)
	if _, ok := s.find(c, now.Add(sessionIdle), valid); ok {
		t.Error("an idle session goes on")
	}
	c = s.begin(&entry{Token: Token{ID: "long"}}, now)
	for at := now; at.Before(now.Add(sessionLife)); at = at.Add(time.Hour) {
		if _, ok := s.find(c, at, valid); !ok {
			t.Fatalf("it ended at %v", at)
		}
	}
	if _, ok := s.find(c, now.Add(sessionLife), valid); ok {
		t.Error("a session goes on for ever")
	}
}

func TestTrustedProxy(t *testing.T) {
	f := tokenFile(t)
	token := create(t, f, "web", RoleRead)
	srv, _ := serve(t, Config{Tokens: f, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}})
	c := direct(srv)
	for forwarded, want := range map[string]string{
		"":                                  "127.0.0.1:",
		"192.0.2.1":                         "192.0.2.1:0 192.0.2.1",
		"198.51.100.1, 192.0.2.1, 10.1.1.1": "192.0.2.1:0",
		"192.0.2.9, nonsense, 10.1.1.1":     "10.1.1.1:0",
		"nonsense":                          "127.0.0.1:",
	} {
		_, body := request(t, c, "GET", srv.URL, "", "Authorization", "Bearer "+token, "X-Forwarded-For", forwarded)
		if !strings.HasPrefix(body, "web read "+want) {
			t.Errorf("%q: %s", forwarded, body)
		}
	}
	resp, _ := request(t, c, "POST", srv.URL+"/login", "token="+token, "Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-Proto", "https")
	if set := resp.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-") || !strings.Contains(set, "Secure") {
		t.Errorf("cookie %s", set)
	}
	untrusting, _ := serve(t, Config{Tokens: f})
	_, body := request(t, direct(untrusting), "GET", untrusting.URL, "", "Authorization", "Bearer "+token, "X-Forwarded-For", "192.0.2.1")
	if !strings.HasPrefix(body, "web read 127.0.0.1:") {
		t.Errorf("anybody can choose an address: %s", body)
	}
}

// TestEventsAreBounded floods the middleware from many addresses.
func TestEventsAreBounded(t *testing.T) {
	var e events
	a := New(Config{OnEvent: e.add})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for range 10 * tellBurst {
		a.tell(EventDenied, r)
	}
	if n := e.count(EventDenied); n < tellBurst || n > tellBurst+30 {
		t.Errorf("%d events were told", n)
	}
}

// TestMiddlewareHammer logs in, out and around from many goroutines.
func TestMiddlewareHammer(t *testing.T) {
	f := tokenFile(t)
	h := New(Config{Tokens: f}).Handler(whoami)
	var wg sync.WaitGroup
	for i := range 8 {
		token := create(t, f, strconv.Itoa(i), RoleRead) // each for fewer sessions than a token may have
		wg.Go(func() {
			for n := range 50 {
				login := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader("token="+token))
				login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				login.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i, n)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, login)
				get := httptest.NewRequest(http.MethodGet, "/", nil)
				get.Header.Set("Cookie", strings.Split(w.Header().Get("Set-Cookie"), ";")[0])
				w = httptest.NewRecorder()
				h.ServeHTTP(w, get)
				if w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				wrong := httptest.NewRequest(http.MethodGet, "/", nil)
				wrong.Header.Set("Authorization", "Bearer th_x_y")
				h.ServeHTTP(httptest.NewRecorder(), wrong)
				if n%10 == 0 {
					_ = f.Reload()
				}
			}
		})
	}
	wg.Wait()
}
