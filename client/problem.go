package client

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// problemJSON is an error as the server writes it.
type problemJSON struct {
	Title   string   `json:"title"`
	Detail  string   `json:"detail"`
	Code    abi.Code `json:"code"`
	Plugin  string   `json:"plugin"`
	Func    string   `json:"function"`
	Task    string   `json:"task"`
	Step    int      `json:"step"`
	Exit    uint32   `json:"exit"`
	More    string   `json:"more"`
	Several []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// problem makes an error of an answer that is one.
func (c *Client) problem(res *http.Response) *failure {
	data, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	var p problemJSON
	if err != nil || !isJSON(res) || json.Unmarshal(data, &p) != nil || (p.Code == "" && p.Title == "" && p.Detail == "") {
		return c.stranger(res)
	}
	e := &abi.Error{
		Code: or(p.Code, codeOf(res.StatusCode)), Message: or(p.Detail, p.Title), Plugin: p.Plugin, Func: p.Func, Task: p.Task, Step: p.Step, Exit: p.Exit,
		Detail: p.More,
	}
	if len(p.Several) > 1 { // the message has the first
		for _, one := range p.Several {
			e.Detail += strings.TrimPrefix(one.Location+": ", ": ") + one.Message + "\n"
		}
	}
	f := &failure{err: e, after: retryAfter(res)}
	// The server answered by itself, so it knows that it did nothing.
	f.passes = passing(res.StatusCode)
	f.untouched = f.passes
	return f
}

// passing tells whether what a status says may pass.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// codeOf is the code of an answer that names none.
func codeOf(status int) abi.Code {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return abi.CodeDenied
	case http.StatusNotFound:
		return abi.CodeNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return abi.CodeConflict
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return abi.CodeUnavailable
	}
	if status >= 500 {
		return abi.CodeInternal
	}
	return abi.CodeInvalid
}

// retryAfter is how long the server asks to wait.
func retryAfter(res *http.Response) time.Duration {
	text := res.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return min(time.Duration(n), 24*60*60) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// stranger is an answer that no taskhost server gives: of a proxy before it, or of something else.
func (c *Client) stranger(res *http.Response) *failure {
	what := res.Header.Get("Content-Type")
	switch status := res.StatusCode; {
	case passing(status):
		f := failed(abi.CodeUnavailable, "%s answers %s, and it is not taskhost that does: the server may be down behind a proxy", c.shown, statusText(res))
		f.passes, f.after = true, retryAfter(res)
		return f
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return failed(abi.CodeDenied, "%s answers %s: give a token that it accepts", c.shown, statusText(res))
	case status/100 == 3:
		return failed(abi.CodeInvalid, "%s answers with a redirect to %.200q: use the address that the server itself has", c.shown, res.Header.Get("Location"))
	}
	return failed(abi.CodeInvalid, "%s is no taskhost server, or too old a one: it answers %s %s with %.60q; look at the address",
		c.shown, res.Request.URL.Path, statusText(res), or(what, "no content type"))
}

func statusText(res *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode)))
}

// unreachable is a server that did not answer.
func (c *Client) unreachable(err error) *failure {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	f := failed(abi.CodeUnavailable, "the server %s cannot be reached: %w; is taskhost serve running there?", c.shown, err)
	f.passes, f.untouched = true, dialled(err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case unknown, name, invalid:
		f = failed(abi.CodeUnavailable, "the certificate of %s is not accepted: %w", c.shown, err)
	case plain || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		f = failed(abi.CodeUnavailable, "%s does not speak TLS: write http:// instead of https://, or look at the port", c.shown)
	case errors.Is(err, errSlow):
		f.err = abi.Errorf(abi.CodeUnavailable, "the server %s took longer than it may to answer", c.shown)
	}
	return f
}

// broken is an answer that ended too early.
func (c *Client) broken(err error) *failure {
	f := failed(abi.CodeUnavailable, "the answer of %s broke off: %w", c.shown, err)
	f.passes = true
	return f
}
