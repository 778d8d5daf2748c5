package auth

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// login handles POST /login: a form with the token, and where to go on in the field next.
func (a *Authenticator) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, os.ErrDeadlineExceeded) {
			status = http.StatusRequestTimeout
		}
		refuse(w, status, "the form cannot be read: "+err.Error())
		return
	}
	next := inside(r.PostForm.Get("next"))
	if !a.Required() {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	e, denied := a.try(r, strings.TrimSpace(r.PostForm.Get("token")))
	if e == nil {
		a.loginFailed(w, r, denied, next)
		return
	}
	for _, c := range r.CookiesNamed(cookieName(r)) { // one browser, one session
		a.sessions.end(c.Value)
	}
	http.SetCookie(w, cookie(r, a.sessions.begin(e, time.Now()), int(sessionLife.Seconds())))
	a.cfg.OnEvent(Event{Kind: EventLogin, Principal: e.Principal(), Address: addressText(r)})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (a *Authenticator) loginFailed(w http.ResponseWriter, r *http.Request, d denial, next string) {
	status, failed, message := http.StatusUnauthorized, "denied", "The token is wrong, has expired, or was removed."
	if d.wait > 0 {
		status, failed, message = http.StatusTooManyRequests, "limited", "Too many wrong tokens from this address: try again in "+d.wait.String()+"."
		w.Header().Set("Retry-After", strconv.Itoa(int(d.wait.Seconds())))
	}
	switch {
	case !strings.Contains(r.Header.Get("Accept"), "text/html"):
		refuse(w, status, message)
	case a.cfg.LoginPage != nil:
		a.cfg.LoginPage(w, r, status, message)
	default:
		http.Redirect(w, r, "/login?"+url.Values{"failed": {failed}, "next": {next}}.Encode(), http.StatusSeeOther)
	}
}

// logout handles POST /logout.
func (a *Authenticator) logout(w http.ResponseWriter, r *http.Request) {
	for _, c := range r.CookiesNamed(cookieName(r)) {
		if e, ok := a.sessions.end(c.Value); ok {
			a.cfg.OnEvent(Event{Kind: EventLogout, Principal: e.Principal(), Address: addressText(r)})
		}
	}
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func cookieName(r *http.Request) string {
	if encrypted(r) {
		return cookieSecure
	}
	return cookiePlain
}

func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: cookieName(r), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: encrypted(r), SameSite: http.SameSiteStrictMode}
}

// inside is a place on this server to go to, or its first page.
func inside(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsFunc(next, func(r rune) bool { return r == '\\' || r < ' ' }) {
		return "/"
	}
	return next
}
