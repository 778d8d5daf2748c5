package ui

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/taskhost/taskhost/abi"
)

// statusOf is the HTTP status of a page that shows an error.
func statusOf(code abi.Code) int {
	switch code {
	case abi.CodeInvalid:
		return http.StatusBadRequest
	case abi.CodeDenied:
		return http.StatusForbidden
	case abi.CodeNotFound:
		return http.StatusNotFound
	case abi.CodeConflict:
		return http.StatusConflict
	case abi.CodeQueueFull:
		return http.StatusTooManyRequests
	case abi.CodeUnavailable, abi.CodeClosed, abi.CodeShutdown:
		return http.StatusServiceUnavailable
	case abi.CodeTimeout:
		return http.StatusGatewayTimeout
	case abi.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

// titles say in a few words what a status of a page means.
var titles = map[int]string{
	http.StatusBadRequest: "That cannot be done", http.StatusForbidden: "Not allowed", http.StatusNotFound: "Not found",
	http.StatusConflict: "Not as things are", http.StatusTooManyRequests: "Too much at once", http.StatusServiceUnavailable: "Not available",
	http.StatusGatewayTimeout: "It took too long", http.StatusInternalServerError: "A fault of the server",
	http.StatusUnprocessableEntity: "Refused", http.StatusRequestEntityTooLarge: "Too large",
}

// fail shows an error: a page of its own, or for htmx a notice.
func (q *request) fail(err error) {
	e := abi.AsError(err)
	status := statusOf(e.Code)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		status = http.StatusRequestEntityTooLarge
	}
	if status >= http.StatusInternalServerError && q.ctx().Err() == nil {
		q.s.cfg.Logger.LogAttrs(q.ctx(), slog.LevelError, "a page failed", slog.String("path", q.r.URL.Path), slog.Any("error", err))
	}
	view := struct {
		base
		Status int
		Error  *abi.Error
	}{base: q.base("", titles[status]), Status: status, Error: e}
	view.Notice = nil
	if err := q.render(status, "error", "problem", view); err != nil {
		http.Error(q.w, e.Message, status)
	}
}
