package egress

import (
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

func TestMaxResponse(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		var to io.Writer = w
		switch r.URL.Path {
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			to = z
		case "/chunked":
			w.(http.Flusher).Flush()
		case "/endless":
			size = 1 << 40
		default:
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		for block := []byte(strings.Repeat("x", 1000)); size > 0; size -= len(block) {
			if _, err := to.Write(block[:min(size, len(block))]); err != nil {
				return
			}
		}
	})
	c := client(t, Policy{AllowedHosts: []string{"127.0.0.1"}, MaxResponse: 5000})
	for _, path := range []string{"/length", "/chunked", "/gzip"} {
		if resp := do(t, c, Request{URL: srv.URL + path + "?size=5000"}); len(resp.Body) != 5000 {
			t.Errorf("%s: %d bytes", path, len(resp.Body))
		}
		_, err := c.Do(t.Context(), Request{URL: srv.URL + path + "?size=5001"})
		wantCode(t, err, abi.CodeOutputLimit)
	}
	_, err := c.Do(t.Context(), Request{URL: srv.URL + "/endless"})
	wantCode(t, err, abi.CodeOutputLimit)
	resp := do(t, c, Request{Method: "HEAD", URL: srv.URL + "/length?size=1000000"})
	if resp.Headers["content-length"] != "1000000" || len(resp.Body) != 0 {
		t.Errorf("HEAD: %v, %d bytes", resp.Headers, len(resp.Body))
	}

	none := client(t, Policy{AllowedHosts: []string{"127.0.0.1"}, MaxResponse: -1})
	do(t, none, Request{URL: srv.URL + "/length?size=0"})
	_, err = none.Do(t.Context(), Request{URL: srv.URL + "/chunked?size=1"})
	wantCode(t, err, abi.CodeOutputLimit)

	byDefault := allow(t, "127.0.0.1")
	if byDefault.maxResponse != abi.DefaultLimits().HTTPResponse {
		t.Errorf("default %d", byDefault.maxResponse)
	}
}

func TestServersThatMisbehave(t *testing.T) {
	raw := func(answer string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					defer conn.Close()
					_, _ = conn.Read(make([]byte, 4096))
					_, _ = io.WriteString(conn, answer)
				})
			}
		})
		t.Cleanup(func() {
			l.Close()
			wg.Wait()
		})
		return "http://" + l.Addr().String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, url := range map[string]string{
		"nobody listens":     "http://" + closed.Addr().String(),
		"says nothing":       raw(""),
		"no HTTP":            raw("SSH-2.0-OpenSSH_9.9\r\n"),
		"body breaks off":    raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nxx"),
		"headers too large":  raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxResponseHeader+4096) + "\r\n\r\n"),
		"wrong Location":     raw("HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n"),
		"both framings":      raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx"),
		"interim for ever":   raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("y", 1000)+"\r\n\r\n", 1000)),
		"TLS asked of plain": strings.Replace(raw("HTTP/1.1 200 OK\r\n\r\n"), "http:", "https:", 1),
	} {
		c := allow(t, "127.0.0.1")
		if _, err := c.Do(t.Context(), Request{URL: url}); abi.CodeOf(err) != abi.CodeUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
