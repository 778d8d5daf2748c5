package httpapi

import (
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
)

// readJSON reads a body of JSON, for those that decode it themselves.
func (a *API) readJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if ct := r.Header.Get("Content-Type"); ct != "" && !isJSON(ct) {
		return nil, abi.Errorf(abi.CodeInvalid, "the body must be application/json, not %.100q", ct)
	}
	return a.readAll(w, r, a.cfg.Limits.MaxBody)
}

// readAll reads a whole body of valid UTF-8.
func (a *API) readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	b := a.newBody(w, r, limit)
	buf := getBuffer()
	defer putBuffer(buf)
	_, err := buf.ReadFrom(b)
	b.done()
	switch {
	case err != nil:
		return nil, bodyProblem(err)
	case !utf8.Valid(buf.Bytes()):
		return nil, abi.Errorf(abi.CodeInvalid, "the body is not valid UTF-8")
	}
	return append([]byte(nil), buf.Bytes()...), nil
}

// serve gives a document that never changes.
func (a *API) serve(path, contentType string, document func() []byte) {
	a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "max-age=60")
		a.serveContent(w, r, time.Time{}, document())
	})
}

func nanoseconds(n int64) time.Duration { return time.Duration(n) }

func uitoa(n uint64) string { return strconv.FormatUint(n, 10) }
