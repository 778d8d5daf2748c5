package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// echo answers with what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("X-Host", r.Host)
	w.Header().Set("X-Path", r.URL.RequestURI())
	w.Header().Add("X-Twice", "a")
	w.Header().Add("X-Twice", "b")
	for name, values := range r.Header {
		w.Header().Set("Got-"+name, strings.Join(values, ","))
	}
	w.WriteHeader(http.StatusTeapot)
	_, _ = w.Write(body)
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func do(t testing.TB, c *Client, req Request) Response {
	t.Helper()
	resp, err := c.Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestRequestAndResponse(t *testing.T) {
	srv := serve(t, echo)
	c := allow(t, "127.0.0.1")
	for _, tt := range []struct{ method, sent, want, body string }{
		{"", "GET", "GET", ""},
		{"post", "POST", "POST", "some body"},
		{"PUT", "PUT", "PUT", strings.Repeat("x", 1<<20)},
		{"DELETE", "DELETE", "DELETE", ""},
		{"HEAD", "HEAD", "HEAD", ""},
		{"PROPFIND", "PROPFIND", "PROPFIND", "<x/>"},
	} {
		resp := do(t, c, Request{Method: tt.method, URL: srv.URL + "/a%2Fb?c=d#e", Headers: map[string]string{"x-one": "1"}, Body: []byte(tt.body)})
		if resp.Status != http.StatusTeapot || string(resp.Body) != tt.body {
			t.Errorf("%s: status %d, %d bytes", tt.method, resp.Status, len(resp.Body))
		}
		for name, want := range map[string]string{
			"x-method": tt.want, "x-path": "/a%2Fb?c=d", "x-twice": "a,b", "got-x-one": "1", "x-host": strings.TrimPrefix(srv.URL, "http://"),
		} {
			if got := resp.Headers[name]; got != want {
				t.Errorf("%s: header %s: %q, want %q", tt.method, name, got, want)
			}
		}
	}
}

func TestHeadersThatAreNotTheGuests(t *testing.T) {
	srv := serve(t, echo)
	resp := do(t, allow(t, "127.0.0.1"), Request{Method: "POST", URL: srv.URL, Body: []byte("12345"), Headers: map[string]string{
		"host": "evil.example", "Connection": "close, X-Private", "X-Private": "1", "Keep-Alive": "1", "Proxy-Authorization": "x",
		"proxy-connection": "x", "TE": "trailers", "Trailer": "X-T", "Transfer-Encoding": "chunked", "Upgrade": "websocket",
		"Content-Length": "3", "X-Kept": "yes", "Content-Type": "text/x", "HTTP2-Settings": "AAA",
	}})
	if got := resp.Headers["x-host"]; got != strings.TrimPrefix(srv.URL, "http://") {
		t.Errorf("Host was %q", got)
	}
	if string(resp.Body) != "12345" {
		t.Errorf("body %q", resp.Body)
	}
	for name, value := range resp.Headers {
		switch name {
		case "got-x-kept", "got-content-type", "got-user-agent", "got-accept-encoding", "got-content-length":
		default:
			if strings.HasPrefix(name, "got-") {
				t.Errorf("sent %s: %q", name, value)
			}
		}
	}
	if resp.Headers["got-x-kept"] != "yes" || resp.Headers["got-content-type"] != "text/x" || resp.Headers["got-content-length"] != "5" {
		t.Errorf("headers %v", resp.Headers)
	}
}

func TestInvalidRequestsSendNothing(t *testing.T) {
	var requests atomic.Int64
	srv := serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	c := allow(t, "127.0.0.1")
	header := func(name, value string) Request {
		return Request{URL: srv.URL, Headers: map[string]string{name: value}}
	}
	for name, req := range map[string]Request{
		"method with a space":   {Method: "GET /x", URL: srv.URL},
		"method with a newline": {Method: "GET\r\nX: y", URL: srv.URL},
		"CONNECT":               {Method: "connect", URL: srv.URL},
		"empty header name":     header("", "x"),
		"space in header name":  header("X Y", "x"),
		"colon in header name":  header("X:", "x"),
		"newline in name":       header("X\r\nY", "x"),
		"name beyond ASCII":     header("Ü", "x"),
		"newline in value":      header("X", "x\r\nY: z"),
		"bare newline in value": header("X", "x\ny"),
		"zero in value":         header("X", "x\x00"),
		"delete in value":       header("X", "x\x7f"),
		"value in Host":         header("Host", "a\r\nX: y"),
		"too large":             header("X", strings.Repeat("x", maxRequestHeader)),
		"same name twice":       {URL: srv.URL, Headers: map[string]string{"x-a": "", "X-A": "2"}},
	} {
		if _, err := c.Do(t.Context(), req); abi.CodeOf(err) != abi.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestDeniedHostsAreNotContacted(t *testing.T) {
	var accepted atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	port := portOf(t, srv)
	dns := serveNames(t, map[string][]net.IP{
		"rebound.example.": {net.IPv4(127, 0, 0, 1)},
		"two.example.":     {net.IPv4(169, 254, 169, 254), net.IPv4(127, 0, 0, 1)},
	})
	for _, tt := range []struct {
		allowed []string
		host    string
		hint    string // what the message tells to list
	}{
		{nil, "127.0.0.1", "127.0.0.1"},
		{[]string{"localhost"}, "127.0.0.1", "127.0.0.1"},
		{[]string{"127.0.0.1"}, "localhost", "localhost"},
		{[]string{"127.0.0.1:1"}, "127.0.0.1", "127.0.0.1"},
		{[]string{"*"}, "127.0.0.1", "127.0.0.1"},
		{[]string{"*"}, "localhost", "localhost"},
		{[]string{"*"}, "LocalHost.", "localhost"},
		{[]string{"*"}, "0.0.0.0", "0.0.0.0"},
		{[]string{"*"}, "[::ffff:127.0.0.1]", "127.0.0.1"},
		{[]string{"*"}, "[::ffff:0:0]", "0.0.0.0"},
		{[]string{"*"}, "[::]", "::"},
		{[]string{"127.*"}, "127.0.0.1", "127.0.0.1"},
		{[]string{"{localhost,127.0.0.1}"}, "localhost", "localhost"},
		{[]string{"*"}, "169.254.169.254", "169.254.169.254"},
		{[]string{"*:" + port}, "rebound.example", "rebound.example"},
		{[]string{"*.example"}, "rebound.example", "rebound.example"},
		{[]string{"*.example", "localhost", "127.0.0.1"}, "rebound.example", "rebound.example"},
		{[]string{"*.example"}, "two.example", "two.example"},
	} {
		c := client(t, Policy{AllowedHosts: tt.allowed, Resolver: dns.resolver()})
		_, err := c.Do(t.Context(), Request{URL: "http://" + tt.host + ":" + port})
		if abi.CodeOf(err) != abi.CodeDenied {
			t.Errorf("%v, %s: %v", tt.allowed, tt.host, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.hint) || !strings.Contains(err.Error(), "allowed_hosts") {
			t.Errorf("%v, %s: the message does not help: %v", tt.allowed, tt.host, err)
		}
	}
	if n := accepted.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestHostsNamedInFullReachLoopback(t *testing.T) {
	srv := serve(t, echo)
	port := portOf(t, srv)
	dns := serveNames(t, map[string][]net.IP{"internal.example.": {net.IPv4(127, 0, 0, 1)}})
	for _, tt := range []struct{ allowed, host string }{
		{"localhost", "localhost"},
		{"LOCALHOST.", "localhost"},
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1:" + port, "127.0.0.1"},
		{"127.0.0.1", "[::ffff:127.0.0.1]"},
		{"internal.example", "Internal.Example."},
	} {
		c := client(t, Policy{AllowedHosts: []string{"*", tt.allowed}, Resolver: dns.resolver()})
		if resp := do(t, c, Request{URL: "http://" + tt.host + ":" + port}); resp.Status != http.StatusTeapot {
			t.Errorf("%s: status %d", tt.host, resp.Status)
		}
	}
}

func TestANameThatMovesToLoopbackIsDenied(t *testing.T) {
	srv := serve(t, echo)
	url := "http://moving.example:" + portOf(t, srv)
	dns := serveNames(t, map[string][]net.IP{"moving.example.": nil})
	c := client(t, Policy{AllowedHosts: []string{"*.example"}, Resolver: dns.resolver()})
	_, err := c.Do(t.Context(), Request{URL: url})
	wantCode(t, err, abi.CodeUnavailable) // allowed, but it has no address yet
	dns.set("moving.example.", net.IPv4(127, 0, 0, 1))
	_, err = c.Do(t.Context(), Request{URL: url})
	wantCode(t, err, abi.CodeDenied)
}

func TestUserInURL(t *testing.T) {
	srv := serve(t, echo)
	c := allow(t, "127.0.0.1")
	withUser := strings.Replace(srv.URL, "http://", "http://user:secret@", 1)
	if got := do(t, c, Request{URL: withUser}).Headers["got-authorization"]; got != "Basic dXNlcjpzZWNyZXQ=" {
		t.Errorf("Authorization %q", got)
	}
	for _, url := range []string{"http://user:secret@nowhere.example/?token=secret", "http://user:secret@127.0.0.1:1/?token=secret", withUser + ":x"} {
		if _, err := c.Do(t.Context(), Request{URL: url}); err == nil || strings.Contains(err.Error(), "token=") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestNoCookiesAndNoProxy(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	})
	c := allow(t, "127.0.0.1")
	for range 2 {
		resp := do(t, c, Request{URL: srv.URL})
		if len(resp.Body) != 0 || resp.Headers["set-cookie"] != "a=1,b=2" {
			t.Errorf("sent %q, got %q", resp.Body, resp.Headers["set-cookie"])
		}
	}
	if resp := do(t, c, Request{URL: srv.URL, Headers: map[string]string{"Cookie": "mine=1"}}); string(resp.Body) != "mine=1" {
		t.Errorf("sent %q", resp.Body)
	}
	if c.transport.Proxy != nil {
		t.Error("there is a proxy function")
	}
}

func TestTLS(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Proto", r.Proto)
			echo(w, r)
		}))
		srv.Config.ErrorLog = quiet()
		srv.EnableHTTP2 = http2
		srv.StartTLS()
		t.Cleanup(srv.Close)
		pool := x509.NewCertPool()
		pool.AddCert(srv.Certificate())
		dns := serveNames(t, map[string][]net.IP{"example.com.": {net.IPv4(127, 0, 0, 1)}, "example.org.": {net.IPv4(127, 0, 0, 1)}})
		c := client(t, Policy{AllowedHosts: []string{"127.0.0.1", "example.com", "example.org"}, RootCAs: pool, Resolver: dns.resolver()})

		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		for _, host := range []string{"127.0.0.1", "example.com"} { // the certificate is theirs
			resp := do(t, c, Request{Method: "POST", URL: "https://" + host + ":" + portOf(t, srv), Body: []byte("hello")})
			if string(resp.Body) != "hello" || resp.Headers["x-proto"] != want {
				t.Errorf("%s: %q, %v", host, resp.Body, resp.Headers)
			}
		}
		_, err := c.Do(t.Context(), Request{URL: "https://example.org:" + portOf(t, srv)})
		wantCode(t, err, abi.CodeUnavailable)
		_, err = allow(t, "127.0.0.1").Do(t.Context(), Request{URL: srv.URL})
		wantCode(t, err, abi.CodeUnavailable)
		if unknown := new(x509.UnknownAuthorityError); !errors.As(err, unknown) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
}

func TestTheContextEndsTheRequest(t *testing.T) {
	arrived := make(chan struct{}, 1)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "the beginning")
			w.(http.Flusher).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done() // until the client goes away
	})
	c := allow(t, "127.0.0.1")
	for _, path := range []string{"/header", "/body"} {
		cause := errors.New("the user changed their mind")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := c.Do(ctx, Request{URL: srv.URL + path})
			result <- err
		}()
		<-arrived
		start := time.Now()
		cancel(cause)
		if err := <-result; !errors.Is(err, cause) {
			t.Errorf("%s: %v", path, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: it took %v", path, took)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Do(ctx, Request{URL: srv.URL})
	wantCode(t, err, abi.CodeTimeout)
	_, err = c.Do(ctx, Request{URL: srv.URL})
	wantCode(t, err, abi.CodeTimeout)
}

func TestTheContextEndsConnecting(t *testing.T) {
	// The name server never answers.
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	asked := make(chan struct{}, 10)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case asked <- struct{}{}:
		default:
		}
		var d net.Dialer
		return d.DialContext(ctx, "udp4", silent.LocalAddr().String())
	}}
	c := client(t, Policy{AllowedHosts: []string{"*"}, Resolver: resolver})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := c.Do(ctx, Request{URL: "http://slow.example"})
		result <- err
	}()
	<-asked
	cancel()
	wantCode(t, <-result, abi.CodeCancelled)

	// Within the policy's own time it is the host that is to blame.
	c = client(t, Policy{AllowedHosts: []string{"*"}, Resolver: resolver, ConnectTimeout: 20 * time.Millisecond})
	_, err = c.Do(t.Context(), Request{URL: "http://slow.example"})
	wantCode(t, err, abi.CodeUnavailable)
}

func TestSlowTLSHandshake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := client(t, Policy{AllowedHosts: []string{"127.0.0.1"}, ConnectTimeout: 20 * time.Millisecond})
	_, err = c.Do(t.Context(), Request{URL: "https://" + l.Addr().String()})
	wantCode(t, err, abi.CodeUnavailable)
}

func TestConnectionsAreReusedAndClosed(t *testing.T) {
	var opened, open atomic.Int64
	closed := make(chan struct{}, 10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			opened.Add(1)
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
			closed <- struct{}{}
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := allow(t, "127.0.0.1")
	for range 5 {
		do(t, c, Request{URL: srv.URL})
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for 5 requests", n)
	}
	c.CloseIdle()
	<-closed
	if n := open.Load(); n != 0 {
		t.Errorf("%d connections stayed open", n)
	}
	do(t, c, Request{URL: srv.URL}) // it goes on
}

func TestClientHammer(t *testing.T) {
	var now, most atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
			return
		}
		echo(w, r)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
		case http.StateClosed:
			now.Add(-1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := allow(t, "127.0.0.1", "*.example.com")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 10 {
				body := fmt.Sprintf("%d/%d", i, j)
				switch (i + j) % 5 {
				case 0:
					if _, err := c.Do(t.Context(), Request{URL: srv.URL + "/away"}); abi.CodeOf(err) != abi.CodeDenied {
						t.Errorf("redirect: %v", err)
					}
				case 1:
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(j)*100*time.Microsecond)
					_, err := c.Do(ctx, Request{URL: srv.URL})
					if code := abi.CodeOf(err); code != "" && code != abi.CodeTimeout {
						t.Errorf("timeout: %v", err)
					}
					cancel()
				case 2:
					c.CloseIdle()
				default:
					resp, err := c.Do(t.Context(), Request{Method: "POST", URL: srv.URL, Body: []byte(body)})
					if err != nil || string(resp.Body) != body {
						t.Errorf("%q: %q, %v", body, resp.Body, err)
					}
				}
			}
		})
	}
	wg.Wait()
	// Connections that the client gave up count here until the server sees it.
	if n := most.Load(); n > 4*maxConnsPerHost {
		t.Errorf("%d connections at once", n)
	}
}
