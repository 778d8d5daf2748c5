package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"
)

// TestValid asks about requests that go on while what let them through ends.
func TestValid(t *testing.T) {
	file, err := OpenFile(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var seen context.Context // of the last request
	a := New(Config{Tokens: file})
	srv := httptest.NewServer(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = context.WithoutCancel(r.Context()) })))
	t.Cleanup(srv.Close)
	ask := func(header ...string) context.Context {
		t.Helper()
		seen = nil
		if resp, body := request(t, direct(srv), "GET", srv.URL+"/x", "", header...); seen == nil || !Valid(seen) {
			t.Fatal(resp.Status, body)
		}
		return seen
	}
	local := ask()
	_, text, err := file.Create("one", RoleRead, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if Valid(local) {
		t.Error("without a token, after the first one was made")
	}
	login := func() string {
		t.Helper()
		resp, body := request(t, direct(srv), "POST", srv.URL+"/login", url.Values{"token": {text}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		if len(resp.Cookies()) != 1 {
			t.Fatal(resp.Status, body)
		}
		return resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
	}
	bearer, first, second := ask("Authorization", "Bearer "+text), login(), login()
	left, stays := ask("Cookie", first), ask("Cookie", second)
	request(t, direct(srv), "POST", srv.URL+"/logout", "", "Cookie", first)
	if Valid(left) || !Valid(stays) || !Valid(bearer) {
		t.Error("after a logout", Valid(left), Valid(stays), Valid(bearer))
	}
	if _, err := file.Remove("one"); err != nil {
		t.Fatal(err)
	}
	if Valid(stays) || Valid(bearer) {
		t.Error("after the token was removed", Valid(stays), Valid(bearer))
	}
	if !Valid(t.Context()) {
		t.Error("without the middleware")
	}
}
