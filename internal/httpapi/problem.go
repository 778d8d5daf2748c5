package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
)

// statuses is the HTTP status for each code. Codes that say how a task or a plugin failed are answers about the thing that was asked for,
// not faults of the server.
var statuses = map[abi.Code]int{
	abi.CodeInvalid:           http.StatusBadRequest,
	abi.CodeDenied:            http.StatusForbidden,
	abi.CodeNotFound:          http.StatusNotFound,
	abi.CodeConflict:          http.StatusConflict,
	abi.CodeModuleLimit:       http.StatusRequestEntityTooLarge,
	abi.CodeQueueFull:         http.StatusTooManyRequests,
	abi.CodeRefused:           http.StatusUnprocessableEntity,
	abi.CodeFailed:            http.StatusUnprocessableEntity,
	abi.CodeTrap:              http.StatusUnprocessableEntity,
	abi.CodeCancelled:         http.StatusUnprocessableEntity,
	abi.CodeLeaseLost:         http.StatusUnprocessableEntity,
	abi.CodeMemoryLimit:       http.StatusUnprocessableEntity,
	abi.CodeKernelMemoryLimit: http.StatusUnprocessableEntity,
	abi.CodeOutputLimit:       http.StatusUnprocessableEntity,
	abi.CodeLogLimit:          http.StatusUnprocessableEntity,
	abi.CodeStackLimit:        http.StatusUnprocessableEntity,
	abi.CodeFuelLimit:         http.StatusUnprocessableEntity,
	abi.CodeExpired:           http.StatusUnprocessableEntity,
	abi.CodeDependency:        http.StatusUnprocessableEntity,
	abi.CodeCrashed:           http.StatusUnprocessableEntity,
	abi.CodeUnavailable:       http.StatusServiceUnavailable,
	abi.CodeClosed:            http.StatusServiceUnavailable,
	abi.CodeShutdown:          http.StatusServiceUnavailable,
	abi.CodeTimeout:           http.StatusGatewayTimeout,
	abi.CodeInternal:          http.StatusInternalServerError,
}

// Problem is the body of every answer that is an error (RFC 9457), with the fields of an abi.Error.
type Problem struct {
	Type   string   `json:"type" doc:"about:blank: the title says it all"`
	Title  string   `json:"title" doc:"the status in words"`
	Status int      `json:"status" doc:"the HTTP status"`
	Detail string   `json:"detail" doc:"one line for a person: the cause and what to do about it"`
	Code   abi.Code `json:"code"`

	Plugin   string `json:"plugin,omitempty" doc:"name of the plugin"`
	Function string `json:"function,omitempty" doc:"name of the function"`
	Task     string `json:"task,omitempty" doc:"id of the task; of a conflict: of the task that stands in the way"`
	Step     int    `json:"step,omitempty" doc:"number of the step, from 1"`
	Exit     uint32 `json:"exit,omitempty" doc:"the guest's non-zero return value or exit code"`
	More     string `json:"more,omitempty" doc:"more for the curious, such as the guest's stack"`

	Errors []FieldError `json:"errors,omitempty" doc:"what is wrong in each part of the request"`
}

// FieldError is what is wrong in one part of a request.
type FieldError struct {
	Location string `json:"location,omitempty" doc:"where, such as query.limit or body.filter.status[0]"`
	Message  string `json:"message"`
}

// newProblem is the answer for an error.
func newProblem(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	e := abi.AsError(err)
	p := &Problem{
		Type: "about:blank", Detail: e.Message, Code: e.Code,
		Plugin: e.Plugin, Function: e.Func, Task: e.Task, Step: e.Step, Exit: e.Exit, More: e.Detail,
	}
	status, ok := statuses[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	if _, ours := errors.AsType[*abi.Error](err); !ours && e.Code == abi.CodeInternal {
		p.Detail = "a fault of the server; its log has more"
	}
	p.setStatus(status)
	return p
}

func (p *Problem) setStatus(status int) {
	p.Status, p.Title = status, http.StatusText(status)
}

// Error makes a Problem an error that huma returns as it is.
func (p *Problem) Error() string { return p.Detail }

// GetStatus tells huma the status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders tells huma the headers.
func (p *Problem) GetHeaders() http.Header {
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		return http.Header{"Retry-After": {"1"}}
	}
	return nil
}

// ContentType tells huma the content type.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

func (p *Problem) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	maps.Copy(h, p.GetHeaders())
	for _, name := range []string{"Content-Disposition", "Content-Length", "Content-Range", "ETag", "Location", "Link"} {
		h.Del(name)
	}
	writeJSON(w, r, p.Status, problemType, p)
}

// fail answers a request with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problem(r.Context(), err)
	p.write(w, r)
}

// problem is newProblem, and tells the log of faults of the server.
func (a *API) problem(ctx context.Context, err error) *Problem {
	p := newProblem(err)
	if p.Status == http.StatusInternalServerError && ctx.Err() == nil {
		a.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a request failed", slog.Any("error", err))
	}
	return p
}

// WriteError answers a request with an error as application/problem+json, for handlers beside the API. A status of 0 is that of the
// error's code.
func WriteError(w http.ResponseWriter, r *http.Request, status int, err error) {
	p := newProblem(err)
	if status != 0 {
		p.setStatus(status)
	}
	p.write(w, r)
}

// fromHuma makes a Problem of what huma found wrong with a request.
func fromHuma(m *huma.ErrorModel) *Problem {
	code, status := abi.CodeInvalid, m.Status
	switch {
	case status == http.StatusUnprocessableEntity || status == http.StatusUnsupportedMediaType || status == http.StatusNotAcceptable:
		status = http.StatusBadRequest
	case status == http.StatusRequestEntityTooLarge || status == http.StatusRequestTimeout:
	case status >= http.StatusInternalServerError:
		code = abi.CodeInternal
	}
	p := &Problem{Type: "about:blank", Code: code, Detail: m.Detail}
	p.setStatus(status)
	for _, e := range m.Errors {
		if e != nil && len(p.Errors) < 20 {
			p.Errors = append(p.Errors, FieldError{Location: clip(e.Location, 200), Message: clip(e.Message, 500)})
		}
	}
	if len(p.Errors) > 0 {
		p.Detail = strings.TrimPrefix(p.Errors[0].Location+": "+p.Errors[0].Message, ": ")
		if n := len(p.Errors) - 1; n > 0 {
			p.Detail += " (and " + strconv.Itoa(n) + " more)"
		}
	}
	return p
}

// bodyProblem is the answer when a request's body cannot be read.
func bodyProblem(err error) *Problem {
	if abi.CodeOf(err) == abi.CodeUnavailable { // there is no room for it
		return newProblem(err)
	}
	p := newProblem(abi.Errorf(abi.CodeInvalid, "the request's body cannot be read: %w", err))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		p.Detail = "the request's body is larger than the " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes that are allowed"
		p.setStatus(http.StatusRequestEntityTooLarge)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		p.Detail = "the request's body came too slowly"
		p.setStatus(http.StatusRequestTimeout)
	}
	return p
}

// clip cuts a text for a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
