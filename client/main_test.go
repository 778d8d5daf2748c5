package client_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server for a test.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// connect makes a client for a test.
func connect(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client.SetBackoff(c, time.Millisecond)
	t.Cleanup(c.Close)
	return c
}

// hasCode fails unless an error has a code.
func hasCode(t *testing.T, err error, want abi.Code) {
	t.Helper()
	if _, ok := err.(*abi.Error); err != nil && !ok { //nolint:errorlint // that is what is promised
		t.Errorf("the error is a %T and no *abi.Error: %v", err, err)
	}
	if got := abi.CodeOf(err); got != want {
		t.Errorf("code %q, want %q: %v", got, want, err)
	}
}
