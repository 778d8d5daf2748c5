package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Bounds of the client's own.
const (
	maxBackoff = 10 * time.Second // between two tries
	maxProblem = 1 << 20          // bytes of an error's answer
)

// request is what is asked of the server.
type request struct {
	method      string
	path        string // escaped
	query       url.Values
	body        []byte
	contentType string
	accept      string
	header      map[string]string

	repeat  bool          // it may be sent again although it may have been carried out
	wait    time.Duration // that it asks the server to wait before it answers
	timeout time.Duration // of one try besides; zero: Config.Timeout
}

// newRequest makes a request without a body. Parts of the path are escaped and joined by slashes.
func newRequest(method string, parts ...string) *request {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		escaped[i] = url.PathEscape(part)
	}
	return &request{
		method: method, path: "/v1/" + strings.Join(escaped, "/"), accept: "application/json",
		repeat: method == http.MethodGet || method == http.MethodPut, query: url.Values{}, header: map[string]string{},
	}
}

// with gives a request a body of JSON.
func (r *request) with(v any) (*request, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "it has no JSON form: %w", err)
	}
	r.body, r.contentType = body, "application/json"
	return r, nil
}

// waiting has the server wait before it answers.
func (r *request) waiting(d time.Duration) *request {
	if d > 0 {
		r.wait = d
		r.query.Set("wait", d.String())
	}
	return r
}

// failure is a try that came to nothing.
type failure struct {
	err       *abi.Error
	passes    bool          // another try may succeed
	untouched bool          // the server did nothing
	after     time.Duration // the server asks to wait so long
}

func failed(code abi.Code, format string, args ...any) *failure {
	return &failure{err: abi.Errorf(code, format, args...)}
}

// call sends a request and reads the JSON that answers it into out; nil: what comes is ignored.
func (c *Client) call(ctx context.Context, r *request, out any) error {
	_, err := c.callHeader(ctx, r, out)
	return err
}

// callHeader is call, and returns the answer's header.
func (c *Client) callHeader(ctx context.Context, r *request, out any) (header http.Header, err error) {
	err = c.do(ctx, r, func() *failure {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer time.AfterFunc(c.patience(r), func() { cancel(errSlow) }).Stop()
		res, f := c.send(ctx, r)
		if f != nil {
			return f
		}
		defer res.Body.Close()
		header = res.Header
		return c.decode(ctx, res, out)
	})
	return header, err
}

// open sends a request and returns the body of its answer. It ends with ctx, and has to be closed.
func (c *Client) open(ctx context.Context, r *request) (body *Body, err error) {
	err = c.do(ctx, r, func() (f *failure) {
		body, f = c.openOnce(ctx, r)
		return f
	})
	return body, err
}

func (c *Client) openOnce(ctx context.Context, r *request) (*Body, *failure) {
	ctx, cancel := context.WithCancelCause(ctx)
	watchdog := time.AfterFunc(c.patience(r), func() { cancel(errSlow) })
	res, f := c.send(ctx, r)
	if f == nil {
		switch {
		case !watchdog.Stop():
			f = c.unreachable(errSlow)
		case r.accept == eventStream && !isEvents(res):
			f = c.stranger(res)
		default:
			return &Body{&openBody{res.Body, cancel}, res.Header.Get("Content-Type"), res.ContentLength}, nil
		}
		res.Body.Close()
	}
	cancel(nil)
	return nil, f
}

// patience is how long a try may take.
func (c *Client) patience(r *request) time.Duration { return r.wait + or(r.timeout, c.cfg.Timeout) }

// openBody frees what belongs to a body when it is closed.
type openBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *openBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// decode reads an answer.
func (c *Client) decode(ctx context.Context, res *http.Response, out any) *failure {
	if out == nil || res.StatusCode == http.StatusNoContent {
		_, _ = io.CopyN(io.Discard, res.Body, maxProblem) // so that the connection can be used again
		return nil
	}
	if !isJSON(res) {
		return c.stranger(res)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, c.cfg.MaxAnswer+1))
	switch {
	case int64(len(data)) > c.cfg.MaxAnswer:
		return failed(abi.CodeOutputLimit, "the server's answer is larger than %d bytes, which is all that is read", c.cfg.MaxAnswer)
	case errors.Is(context.Cause(ctx), errSlow):
		return c.unreachable(errSlow)
	case err != nil:
		return c.broken(err)
	}
	if err := json.Unmarshal(data, out); err != nil {
		if !json.Valid(data) {
			return c.broken(err)
		}
		return failed(abi.CodeInvalid, "the answer of %s cannot be read; is it another version of taskhost? %w", c.shown, err)
	}
	return nil
}

// do tries a request, again where that may help.
func (c *Client) do(ctx context.Context, r *request, try func() *failure) error {
	var giveUp time.Time // RetryFor after the first failure: a long wait before it does not count
	for pause := c.backoff; ; pause = min(2*pause, maxBackoff) {
		f := try()
		switch {
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return ended(ctx)
		case !f.passes || !r.repeat && !f.untouched:
			return f.err
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(c.cfg.RetryFor)
		}
		wait := max(f.after, pause/2+rand.N(pause/2+1))
		if time.Now().Add(wait).After(giveUp) {
			return f.err
		}
		if !sleep(ctx, wait) {
			return ended(ctx)
		}
	}
}

// ended is the error of a context that ended.
func ended(ctx context.Context) *abi.Error {
	return &abi.Error{Code: abi.CodeOf(ctx.Err()), Message: "no longer waiting for the server: " + ctx.Err().Error(), Err: ctx.Err()}
}

// sleep waits; it returns false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errSlow ends a try that takes too long.
var errSlow = errors.New("it did not answer in time")

// send sends a request once and returns an answer that is no error, with its body open.
func (c *Client) send(ctx context.Context, r *request) (*http.Response, *failure) {
	req, err := c.newHTTP(ctx, r)
	if err != nil {
		return nil, failed(abi.CodeInvalid, "the request cannot be made: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errSlow) {
			err = cause
		}
		return nil, c.unreachable(err)
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, c.problem(res)
	}
	return res, nil
}

func (c *Client) newHTTP(ctx context.Context, r *request) (*http.Request, error) {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("Accept", r.accept)
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	for name, value := range r.header {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}

// isJSON tells whether an answer says that it is JSON.
func isJSON(res *http.Response) bool {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

// dialled tells whether an error came before anything was sent.
func dialled(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
