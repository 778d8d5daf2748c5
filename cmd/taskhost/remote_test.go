package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServerBehindTLS: the command line works through a proxy that speaks TLS with a certificate of its own authority, and only then.
func TestServerBehindTLS(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "data"))
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	proxy.StartTLS()
	defer proxy.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"TASKHOST_SERVER": proxy.URL}
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"ls"}, exitUsage, "the certificate of " + proxy.URL + " is not accepted"},
		{[]string{"ls", "--ca", ca}, exitOK, "no task matches"},
		{[]string{"plugins", "ls", "--ca", ca}, exitOK, ""},
		{[]string{"ls", "--ca", ca + "x"}, exitUsage, "cannot read"},
		{[]string{"ls", "--ca", "remote_test.go"}, exitUsage, "no certificate in PEM form"},
		{[]string{"ls", "--server", strings.Replace(proxy.URL, "https:", "http:", 1)}, exitUsage, ""},
	} {
		code, _, stderr := run(t, env, tc.args...)
		if code != tc.code || !strings.Contains(stderr, tc.stderr) {
			t.Errorf("%v: exit code %d, %q", tc.args, code, stderr)
		}
	}
}

// TestTokenSources: a token on the command line goes before the environment, that before a file, and no message shows one.
func TestTokenSources(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "data"))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("bad token in a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		env  map[string]string
		args []string
		code int
	}{
		{map[string]string{"TASKHOST_TOKEN_FILE": file}, nil, exitUsage},
		{map[string]string{"TASKHOST_TOKEN_FILE": file + "x"}, nil, exitUsage},
		{map[string]string{"TASKHOST_TOKEN_FILE": file, "TASKHOST_TOKEN": "th_1_x"}, nil, exitOK},
		{map[string]string{"TASKHOST_TOKEN": "bad token in the environment"}, nil, exitUsage},
		{map[string]string{"TASKHOST_TOKEN": "bad token in the environment"}, []string{"--token", ""}, exitOK},
	} {
		tc.env["TASKHOST_SERVER"] = s.url
		code, _, stderr := run(t, tc.env, append([]string{"ls"}, tc.args...)...)
		if code != tc.code || strings.Contains(stderr, "bad token") {
			t.Errorf("%v %v: exit code %d, %q", tc.env, tc.args, code, stderr)
		}
	}
}
