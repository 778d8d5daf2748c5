package egress

import (
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

// quiet is a logger for servers whose clients fail on purpose.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// redirector sends every request to where its query says, with the status that it says.
func redirector(w http.ResponseWriter, r *http.Request) {
	status, err := strconv.Atoi(r.URL.Query().Get("status"))
	if err != nil {
		status = http.StatusFound
	}
	w.Header().Set("Location", r.URL.Query().Get("to"))
	w.WriteHeader(status)
}

func TestRedirectsAreChecked(t *testing.T) {
	goal := serve(t, echo)
	from := serve(t, redirector)
	fromPort, goalPort := portOf(t, from), portOf(t, goal)
	for _, tt := range []struct {
		name    string
		allowed []string
		to      string
		want    abi.Code
	}{
		{"listed", []string{"127.0.0.1"}, goal.URL, ""},
		{"listed under another name", []string{"127.0.0.1", "localhost"}, "http://LOCALHOST.:" + goalPort, ""},
		{"other port", []string{"127.0.0.1:" + fromPort}, goal.URL, abi.CodeDenied},
		{"not listed", []string{"127.0.0.1"}, "http://localhost:" + goalPort, abi.CodeDenied},
		{"loopback through a pattern", []string{"127.0.0.1:" + fromPort, "*"}, "http://localhost:" + goalPort, abi.CodeDenied},
		{"loopback through a pattern, other port", []string{"127.0.0.1:" + fromPort, "*"}, goal.URL, abi.CodeDenied},
		{"metadata through a pattern", []string{"127.0.0.1", "*"}, "http://169.254.169.254/latest/meta-data", abi.CodeDenied},
		{"without a scheme", []string{"127.0.0.1"}, "//localhost:" + goalPort, abi.CodeDenied},
		{"user that looks like a host", []string{"127.0.0.1"}, "http://127.0.0.1:80@localhost:" + goalPort, abi.CodeDenied},
		{"odd address", []string{"127.0.0.1", "*"}, "http://127.1:" + goalPort, abi.CodeInvalid},
		{"other scheme", []string{"127.0.0.1"}, "file:///etc/passwd", abi.CodeInvalid},
		{"no HTTP", []string{"127.0.0.1"}, "gopher://127.0.0.1:" + goalPort, abi.CodeInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := allow(t, tt.allowed...)
			resp, err := c.Do(t.Context(), Request{URL: from.URL + "?to=" + tt.to})
			wantCode(t, err, tt.want)
			if tt.want == "" && resp.Status != http.StatusTeapot {
				t.Errorf("status %d", resp.Status)
			}
			if tt.want == abi.CodeDenied && !strings.Contains(err.Error(), "allowed_hosts") {
				t.Errorf("the message does not help: %v", err)
			}
		})
	}
}

func TestRedirectKinds(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/goal" {
			echo(w, r)
			return
		}
		redirector(w, r)
	})
	c := allow(t, "127.0.0.1")
	for _, tt := range []struct {
		query, method, body string
	}{
		{"?to=/goal&status=301", "GET", ""},
		{"?to=goal&status=302", "GET", ""},
		{"?to=/goal&status=303", "GET", ""},
		{"?to=/goal&status=307", "POST", "kept"},
		{"?to=/goal&status=308", "POST", "kept"},
	} {
		resp := do(t, c, Request{Method: "POST", URL: srv.URL + "/" + tt.query, Body: []byte("kept")})
		if resp.Headers["x-method"] != tt.method || string(resp.Body) != tt.body {
			t.Errorf("%s: %s %q", tt.query, resp.Headers["x-method"], resp.Body)
		}
	}
	// A redirect to nowhere is an answer.
	if resp := do(t, c, Request{URL: srv.URL + "/?status=302"}); resp.Status != http.StatusFound {
		t.Errorf("status %d", resp.Status)
	}
}

func TestRedirectsAreCounted(t *testing.T) {
	var srvURL string
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		left, _ := strconv.Atoi(r.URL.Path[1:])
		if left == 0 {
			echo(w, r)
			return
		}
		http.Redirect(w, r, srvURL+"/"+strconv.Itoa(left-1), http.StatusFound)
	})
	srvURL = srv.URL
	c := allow(t, "127.0.0.1")
	if resp := do(t, c, Request{URL: srv.URL + "/10"}); resp.Status != http.StatusTeapot {
		t.Errorf("status %d after 10 redirects", resp.Status)
	}
	_, err := c.Do(t.Context(), Request{URL: srv.URL + "/11"})
	wantCode(t, err, abi.CodeUnavailable)
}

func TestSecretsStayWithTheFirstHost(t *testing.T) {
	secrets := map[string]string{"Authorization": "Bearer x", "Cookie": "a=b", "Referer": "http://from.example/?token=x", "X-Other": "kept"}
	sent := func(resp Response) string {
		var all []string
		for _, name := range []string{"authorization", "cookie", "referer", "x-other"} {
			if resp.Headers["got-"+name] != "" {
				all = append(all, name)
			}
		}
		return strings.Join(all, " ")
	}
	goal := serve(t, echo)
	back := serve(t, func(w http.ResponseWriter, r *http.Request) { redirector(w, r) })
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/goal" {
			echo(w, r)
			return
		}
		redirector(w, r)
	})
	c := allow(t, "127.0.0.1", "localhost")
	for _, tt := range []struct{ name, to, want string }{
		{"same host", "/goal", "authorization cookie referer x-other"},
		{"same host in other words", strings.ToUpper(first.URL[:4]) + first.URL[4:] + "/goal", "authorization cookie referer x-other"},
		{"other port", goal.URL, "x-other"},
		{"other name", "http://localhost:" + portOf(t, first) + "/goal", "x-other"},
		{"away and back", back.URL + "?to=" + first.URL + "/goal", "x-other"},
	} {
		resp := do(t, c, Request{URL: first.URL + "/?to=" + tt.to, Headers: secrets})
		if got := sent(resp); got != tt.want {
			t.Errorf("%s: sent %q, want %q", tt.name, got, tt.want)
		}
	}
	// A password in the URL is no better kept than a header.
	resp := do(t, c, Request{URL: strings.Replace(first.URL, "http://", "http://user:pw@", 1) + "/?to=" + goal.URL})
	if got := sent(resp); got != "" {
		t.Errorf("sent %q", got)
	}
}
