package httpapi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
)

// hasty are limits that tests need not wait long for.
func hasty() httpapi.Config {
	return httpapi.Config{Limits: httpapi.Limits{
		HeaderTimeout: 100 * time.Millisecond, BodyTimeout: 100 * time.Millisecond, WriteTimeout: 200 * time.Millisecond, MaxInput: 2 << 20, MaxUpload: 4 << 20,
	}}
}

// dial opens a connection to a system's server.
func (s *system) dial() net.Conn {
	s.t.Helper()
	return dialTo(s.t, s.server.Listener.Addr())
}

func dialTo(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// calm waits until no more goroutines run than before.
func calm(t *testing.T, s *system) func() {
	t.Helper()
	s.do("GET", "/v1/stats", nil)
	s.client.Transport.(*checker).inner.(*http.Transport).CloseIdleConnections()
	waitFor(t, "idle connections", func() bool { return connections() == 0 })
	before := runtime.NumGoroutine()
	return func() {
		t.Helper()
		s.client.Transport.(*checker).inner.(*http.Transport).CloseIdleConnections()
		waitFor(t, fmt.Sprintf("goroutines to be %d again", before), func() bool { return runtime.NumGoroutine() <= before })
	}
}

// connections counts the goroutines that serve connections.
func connections() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "net/http.(*conn).serve(")
}

// status reads the status of the answer on a connection; 0: it was closed without one.
func status(c net.Conn) (int, string) {
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(data)
}

func TestSlowClientsLoseTheirConnection(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: hasty()})
	after := calm(t, s)
	for name, sent := range map[string]string{
		"header":          "GET /v1/stats HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"body":            "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"chunked body":    "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ta",
		"body of huma":    "POST /v1/tasks/cancel HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"body of a PUT":   "PUT /v1/schedules/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"body of uploads": "PUT /v1/plugins/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/wasm\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial()
			if _, err := io.WriteString(c, sent); err != nil {
				t.Fatal(err)
			}
			code, body := status(c)
			if want := http.StatusRequestTimeout; name != "header" && code != want || name == "header" && code >= 300 && code < 400 {
				t.Errorf("%d %s", code, body)
			}
			c.Close()
		})
	}
	t.Run("drop by drop", func(t *testing.T) { // faster than BodyTimeout, slower than MinRate
		c := s.dial()
		if _, err := io.WriteString(c, "POST /v1/tasks?step=upper HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					_, _ = c.Write([]byte("x"))
				}
			}
		}()
		code, body := status(c)
		close(stop)
		<-done
		if code != http.StatusRequestTimeout {
			t.Errorf("%d %s", code, body)
		}
		c.Close()
	})
	after()
}

// TestSlowClientsOfOthersThanTheAPI sends requests whose body never comes to what does not read it, or is not of the API.
func TestSlowClientsOfOthersThanTheAPI(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: hasty()})
	guarded := s.guard(hasty().Limits)
	after := calm(t, s)
	const length, chunked = "Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"
	bearer := "Authorization: Bearer " + guarded.token + "\r\n"
	for _, test := range []struct {
		sent string
		code int
	}{
		{"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n" + length, http.StatusRequestTimeout},
		{"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n" + chunked + "5\r\ntoken", http.StatusRequestTimeout},
		{"POST /logout HTTP/1.1\r\nHost: x\r\n" + length, http.StatusSeeOther},
		{"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + length + "{", http.StatusUnauthorized},
		{"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n" + length + "{", http.StatusForbidden},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n" + length, http.StatusOK},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n" + chunked, http.StatusOK},
		{"GET /v1/none HTTP/1.1\r\nHost: x\r\n" + bearer + length, http.StatusNotFound},
		{"PATCH /v1/queues HTTP/1.1\r\nHost: x\r\n" + bearer + chunked, http.StatusMethodNotAllowed},
		{"GET /v1/stats HTTP/1.1\r\nHost: x\r\n" + bearer + length, http.StatusOK},
		{"POST /v1/tasks HTTP/1.1\r\nHost: x\r\n" + bearer + length + "{", http.StatusBadRequest}, // before it reads
	} {
		c := dialTo(t, guarded.Listener.Addr())
		if _, err := io.WriteString(c, test.sent); err != nil {
			t.Fatal(err)
		}
		if code, body := status(c); code != test.code {
			t.Errorf("%q: %d %s", test.sent, code, body)
		}
		if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: the connection goes on: %d %v", test.sent, n, err)
		}
		c.Close()
	}
	after()
}

// TestUnreadBodiesDoNotEndConnections sends bodies, some that nobody reads, on one connection, and waits for longer than they may take.
func TestUnreadBodiesDoNotEndConnections(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: hasty()})
	s.do("POST", "/v1/queues/q/pause", nil)
	c := s.dial()
	answers := bufio.NewReader(c)
	for n, sent := range []string{
		"GET /v1/stats HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"POST /v1/tasks?step=upper&queue=q&wait=300ms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"POST /v1/tasks?step=upper&queue=q&wait=300ms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"POST /v1/queues/q/pause HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"GET /v1/tasks?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		data, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode >= 300 || res.Close {
			t.Fatalf("%d: %d %s %v %v", n, res.StatusCode, data, res.Close, err)
		}
		res.Body.Close()
	}
}

func TestLargeBodiesAndHeaders(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: hasty()})
	after := calm(t, s)
	var before, behind runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, path := range []string{"POST /v1/tasks?step=upper", "POST /v1/tasks", "POST /v1/batches", "PUT /v1/plugins/x", "POST /v1/tasks/cancel", "PUT /v1/schedules/x"} {
		contentType := "application/json"
		if strings.Contains(path, "plugins") {
			contentType = "application/wasm"
		}
		for _, length := range []string{"Content-Length: 10000000000", "Transfer-Encoding: chunked"} {
			c := s.dial()
			if _, err := io.WriteString(c, path+" HTTP/1.1\r\nHost: x\r\nContent-Type: "+contentType+"\r\n"+length+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				piece := strings.Repeat("x", 1<<16)
				if strings.HasPrefix(length, "Transfer") {
					piece = "10000\r\n" + piece + "\r\n"
				}
				for {
					if _, err := io.WriteString(c, piece); err != nil {
						return
					}
				}
			}()
			if code, body := status(c); code != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, %s: %d %s", path, length, code, body)
			}
			c.Close()
			<-done
		}
	}
	c := s.dial()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w := bufio.NewWriter(c)
		_, _ = io.WriteString(w, "GET /v1/stats HTTP/1.1\r\nHost: x\r\n")
		for n := range 100_000 {
			if _, err := fmt.Fprintf(w, "X-%d: y\r\n", n); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, "\r\n")
		_ = w.Flush()
	}()
	if code, body := status(c); code != http.StatusRequestHeaderFieldsTooLarge && code != 0 {
		t.Errorf("100,000 headers: %d %s", code, body)
	}
	c.Close()
	<-done
	after()
	runtime.GC()
	runtime.GC() // pools are emptied by the second one
	runtime.ReadMemStats(&behind)
	if grown := int64(behind.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
}

func TestStrangeRequests(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: hasty()})
	after := calm(t, s)
	deep := strings.Repeat(`{"args":`, 100_000) + strings.Repeat("}", 100_000)
	const jsonType = "Content-Type: application/json\r\n"
	for _, c := range []struct {
		line, headers, body string
		status              int
	}{
		{"GET /v1/tasks/%2e%2e/%2e%2e/etc/passwd", "", "", 404},
		{"GET /v1/../v1/stats", "", "", 404},
		{"GET //v1/stats", "", "", 404},
		{"GET /v1//stats", "", "", 404},
		{"GET /v1/stats/", "", "", 404},
		{"GET /v1/tasks/%00", "", "", 404},
		{"GET /v1/tasks/%ff%fe", "", "", 404},
		{"GET /v1/plugins/..%2f..%2fetc", "", "", 404},
		{"DELETE /v1/plugins/..%5c..%5cx", "", "", 404},
		{"GET /v1/tasks/%zz", "", "", 400},
		{"GET /v1/tasks?status=%zz", "", "", 400},
		{"GET /v1/tasks?limit=%00", "", "", 400},
		{"GET /v1/tasks?cursor=%ff", "", "", 400},
		{"GET /v1/tasks?label=%ff%fe=x", "", "", 400},
		{"POST /v1/tasks?step=upper&label=a=%ff", "", "x", 400},
		{"POST /v1/tasks?step=%ff", "", "x", 400},
		{"PATCH /v1/tasks", "", "", 405},
		{"BREW /v1/stats", "", "", 405},
		{"OPTIONS /v1/tasks", "", "", 405},
		{"TRACE /v1/tasks", "", "", 405},
		{"POST /v1/stats", "", "", 405},
		{"PUT /v1/tasks/x/output", "", "", 405},
		{"GET /v2", "", "", 404},
		{"POST /v1/tasks", jsonType, `{`, 400},
		{"POST /v1/tasks", jsonType, ``, 400},
		{"POST /v1/tasks", jsonType, `null`, 400},
		{"POST /v1/tasks", jsonType, `[]`, 400},
		{"POST /v1/tasks", jsonType, deep, 400},
		{"POST /v1/tasks", jsonType, "{\"steps\":[\"upper\"],\"content\":\"\xff\xfe\"}", 400},
		{"POST /v1/tasks", jsonType, "{\"steps\":[\"upper\"],\"labels\":{\"a\":\"\\ud800\"}}", 201}, // the half of a pair is written as U+FFFD
		{"POST /v1/tasks", jsonType, `{"steps":["upper"],"content":"x"} {}`, 400},
		{"POST /v1/tasks/cancel", jsonType, deep, 400},
		{"POST /v1/tasks/cancel", jsonType, `{"ids":` + strings.Repeat("[", 20_000), 400},
		{"POST /v1/tasks/cancel", jsonType, "{\"ids\":[\"\xff\"]}", 400},
		{"POST /v1/tasks/cancel", "Content-Type: text/xml\r\n", `<ids/>`, 400},
		{"PUT /v1/queues/q", jsonType, `{"concurrency":99999999999999999999}`, 400},
		{"PUT /v1/queues/q", jsonType, `null`, 400},
		{"PUT /v1/schedules/q", jsonType, deep, 400},
		{"POST /v1/batches", jsonType, `{"tasks":[` + strings.Repeat(`{},`, 20_000) + `{}]}`, 400},
		{"POST /v1/tasks/cancel", "Transfer-Encoding: chunked\r\n" + jsonType, "zz\r\n", 400},
		{"POST /v1/tasks?step=upper", "Transfer-Encoding: chunked\r\n", "-1\r\n", 400},
		{"POST /v1/tasks?step=upper&wait=-1s", "", "x", 400},
		{"POST /v1/tasks?step=upper", "Idempotency-Key: " + strings.Repeat("k", 201) + "\r\n", "x", 400},
		{"GET /v1/events?last_event_id=%0d%0aX:1", "", "", 200},
	} {
		con := s.dial()
		length := fmt.Sprintf("Content-Length: %d\r\n", len(c.body))
		if strings.Contains(c.headers, "chunked") {
			length = ""
		}
		if _, err := io.WriteString(con, c.line+" HTTP/1.1\r\nHost: x\r\n"+c.headers+length+"\r\n"+c.body); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(con), nil)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if ct := res.Header.Get("Content-Type"); res.StatusCode != c.status || c.status >= 400 && ct != "application/problem+json" && !strings.Contains(c.line, "%zz") {
			data, _ := io.ReadAll(io.LimitReader(res.Body, 300))
			t.Errorf("%s %.60s: %d instead of %d, %s, %s", c.line, c.body, res.StatusCode, c.status, ct, data)
		}
		con.Close()
	}
	after()
}

func TestCancelledUploads(t *testing.T) {
	s := start(t, setup{api: hasty()})
	after := calm(t, s)
	for n := range 20 {
		c := s.dial()
		if _, err := fmt.Fprintf(c, "PUT /v1/plugins/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/wasm\r\nContent-Length: 1000000\r\n\r\n%s", strings.Repeat("x", 1000*n)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	want[abi.VersionInfo](t, s.do("PUT", "/v1/plugins/x", guest(t, "upper-wat"), "Content-Type", wasmType), http.StatusCreated)
	after()
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".versions", "x", "tmp-*")); len(left) > 0 {
		t.Error(left)
	}
}

// TestHostileUploads uploads what breaks, loops and floods while it is loaded.
func TestHostileUploads(t *testing.T) {
	s := start(t, setup{plugins: []string{"x=upper-wat"}, api: hasty()})
	s.do("PUT", "/v1/plugins/x", `{"timeout_ms":100,"memory":{"max_pages":64},"taskhost":{"max_log_bytes":1000}}`, "Content-Type", "application/json")
	before := want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/x", nil), http.StatusOK)
	after := calm(t, s)
	var mem, behind runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	for _, folder := range []string{"broken", filepath.Join("hostile", "load")} {
		files, err := filepath.Glob(filepath.Join("..", "..", "build", "testdata", folder, "*.wasm"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%v; run make plugins first", err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := s.do("PUT", "/v1/plugins/x", data, "Content-Type", wasmType)
			if r.status < 400 || r.status >= 500 {
				t.Errorf("%s: %d %s", filepath.Base(file), r.status, r.body)
			}
		}
	}
	if p := want[httpapi.Plugin](t, s.do("GET", "/v1/plugins/x", nil), http.StatusOK); p.Digest != before.Digest || p.State != abi.StateReady {
		t.Errorf("%+v", p)
	}
	after()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&behind)
	if grown := int64(behind.HeapAlloc) - int64(mem.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
	if out := s.run("x", "fine"); out != "FINE" {
		t.Error(out)
	}
}

func TestWaitingRequestsAreBounded(t *testing.T) {
	cfg := hasty()
	cfg.Limits.MaxWaiting = 2
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: cfg})
	s.do("POST", "/v1/queues/q/pause", nil)
	task := want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper&queue=q", "x"), http.StatusCreated)
	path := "/v1/tasks/" + task.ID
	answers := make(chan reply, 2)
	for range 2 {
		go func() { answers <- s.do("GET", path+"/result?wait=1m", nil) }()
	}
	waitFor(t, "two that wait", func() bool {
		return want[httpapi.ServerStats](t, s.do("GET", "/v1/stats", nil), http.StatusOK).Waiting == 2
	})
	if p := wantProblem(t, s.do("GET", path+"?wait=1m", nil), http.StatusServiceUnavailable, abi.CodeUnavailable); !strings.Contains(p.Detail, "wait") {
		t.Errorf("%+v", p)
	}
	s.do("POST", "/v1/queues/q/resume", nil)
	for range 2 {
		if r := <-answers; r.status != http.StatusOK || string(r.body) != "X" {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// TestBodiesOverHTTP2 waits, over HTTP/2, for longer than a body may take; and sends one that does not come.
func TestBodiesOverHTTP2(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: hasty()})
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = httpapi.HTTPServer(withRole(s.api, auth.RoleAdmin), hasty().Limits, nil)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s.do("POST", "/v1/queues/q/pause", nil)
	post := func(body io.Reader) (int, string) {
		t.Helper()
		res, err := srv.Client().Post(srv.URL+"/v1/tasks?step=upper&queue=q&wait=300ms", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil || res.ProtoMajor != 2 {
			t.Fatal(res.Proto, err)
		}
		return res.StatusCode, string(data)
	}
	if code, body := post(strings.NewReader("hello")); code != http.StatusCreated {
		t.Errorf("%d %s", code, body)
	}
	never, end := io.Pipe()
	defer end.Close()
	if code, body := post(never); code != http.StatusRequestTimeout {
		t.Errorf("%d %s", code, body)
	}
}

// TestLargeBodiesAreBounded holds bodies that fill the room for them.
func TestLargeBodiesAreBounded(t *testing.T) {
	const mib = 1 << 20
	cfg := httpapi.Config{Limits: httpapi.Limits{MaxInput: 2 * mib, MaxUpload: 2 * mib}}
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: cfg})
	var held []net.Conn
	for range 4 {
		c := s.dial()
		if _, err := fmt.Fprintf(c, "POST /v1/tasks?step=upper HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 2*mib, make([]byte, 2*mib-1)); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	waitFor(t, "no room", func() bool { return s.api.BodiesHeld() == 8*mib })
	big := make([]byte, 2*mib)
	r := s.do("POST", "/v1/tasks?step=upper", big)
	if wantProblem(t, r, http.StatusServiceUnavailable, abi.CodeUnavailable); r.header.Get("Retry-After") == "" {
		t.Errorf("%v", r.header)
	}
	wantProblem(t, s.do("POST", "/v1/batches", big, "Content-Type", "application/json"), http.StatusServiceUnavailable, abi.CodeUnavailable)
	wantProblem(t, s.do("PUT", "/v1/plugins/x", big, "Content-Type", wasmType), http.StatusServiceUnavailable, abi.CodeUnavailable)
	body, ct := form(t, "wasm", string(big[:2*mib-1000]))
	wantProblem(t, s.do("PUT", "/v1/plugins/x", body, "Content-Type", ct), http.StatusServiceUnavailable, abi.CodeUnavailable)
	want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper", big[:mib]), http.StatusCreated) // a small one
	for _, c := range held {
		if _, err := c.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		if code, answer := status(c); code != http.StatusCreated {
			t.Errorf("one that was held: %d %s", code, answer)
		}
	}
	want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper", big), http.StatusCreated)
}
