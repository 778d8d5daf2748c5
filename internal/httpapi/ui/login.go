package ui

import (
	"net/http"
	"net/url"
	"strings"
)

type loginView struct {
	base
	Wrong bool
	Wait  bool // too many wrong ones
	Next  string
}

// login shows the form. The middleware of package auth takes what it sends, and knows who is in.
func (s *server) login(q *request) error {
	query := q.r.URL.Query()
	v := loginView{base: q.base("", "Log in"), Wrong: query.Has("failed"), Wait: query.Get("failed") == "limited", Next: "/"}
	if next := query.Get("next"); strings.HasPrefix(next, "/") && !strings.HasPrefix(next, "//") {
		if u, err := url.Parse(next); err == nil && u.Host == "" {
			v.Next = next
		}
	}
	v.Notice = nil
	return q.render(http.StatusOK, "login", "", &v)
}
