package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// addBytes adds what gives the bytes of tasks as they are.
func (a *API) addBytes() {
	raw := func() map[int]*huma.Response {
		return map[int]*huma.Response{
			http.StatusOK:                           {Description: "the bytes", Content: map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{}}}},
			http.StatusPartialContent:               {Description: "the range that was asked for", Content: map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{}}}},
			http.StatusRequestedRangeNotSatisfiable: a.problemResponse("no such range"),
		}
	}
	for _, part := range []struct {
		name, about string
		of          func(t *manager.Task) ([]byte, error)
	}{
		{"input", "what the first step gets", func(t *manager.Task) ([]byte, error) { return t.Spec.Input, nil }},
		{"output", "what the last step gave; a task that did not complete has none", outputOf},
		{"partial", "the output of the last step that ended well, of a task that did not complete", partialOf},
	} {
		addAnswer(a, operation{
			method: http.MethodGet, path: "/v1/tasks/{id}/" + part.name, id: "get" + strings.ToUpper(part.name[:1]) + part.name[1:], role: auth.RoleRead, tag: "tasks",
			summary: "The " + part.name + " of a task as raw bytes", about: "That is " + part.about + ". Ranges can be asked for.",
			responses: raw(), errors: []int{http.StatusNotFound},
		}, func(ctx context.Context, in *TaskPath) (answer, error) {
			t, err := a.cfg.Tasks.Get(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			data, err := part.of(&t)
			if err != nil {
				return nil, err
			}
			return a.serveBytes(&t, part.name, data), nil
		})
	}
	responses := raw()
	responses[http.StatusAccepted] = jsonResponse[manager.Task](a, "It has not ended yet.")
	responses[http.StatusUnprocessableEntity] = a.problemResponse("It failed or was cancelled: the error says why.")
	addAnswer(a, operation{
		method: http.MethodGet, path: "/v1/tasks/{id}/result", id: "getResult", role: auth.RoleRead, tag: "tasks",
		summary: "The result of a task: its output as raw bytes, or why there is none", responses: responses, errors: []int{http.StatusNotFound},
	}, a.result)
}

func outputOf(t *manager.Task) ([]byte, error) {
	if t.Status != manager.StatusCompleted {
		return nil, noBytes(t, "has no output: it is "+string(t.Status))
	}
	return t.Output, nil
}

func partialOf(t *manager.Task) ([]byte, error) {
	if t.PartialStep == 0 {
		return nil, noBytes(t, "has no partial output")
	}
	return t.Partial, nil
}

func noBytes(t *manager.Task, why string) error {
	e := abi.Errorf(abi.CodeNotFound, "the task %s", why)
	e.Task = t.ID
	return e
}

func (a *API) result(ctx context.Context, in *struct {
	TaskPath
	WaitParam
},
) (answer, error) {
	t, err := a.get(ctx, in.ID, in.Wait)
	if err != nil {
		return nil, err
	}
	switch t.Status {
	case manager.StatusCompleted:
		return a.serveBytes(&t, "output", t.Output), nil
	case manager.StatusFailed, manager.StatusCancelled:
		err := t.Err()
		if err == nil {
			err = abi.Errorf(abi.CodeFailed, "the task is %s", t.Status)
		}
		p := newProblem(err)
		p.setStatus(http.StatusUnprocessableEntity)
		p.Task = t.ID
		return nil, p
	}
	light(&t)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		writeJSON(a.newWriter(w), r, http.StatusAccepted, "application/json", &t)
	}, nil
}

// serveBytes gives bytes that a plugin or a client made, so that no browser takes them for a page of this server.
func (a *API) serveBytes(t *manager.Task, part string, data []byte) answer {
	contentType, extension := sniff(data)
	if part == "input" {
		if ct := t.Spec.Labels[LabelContentType]; ct != "" {
			contentType, extension = safeType(ct)
		}
	}
	modified := t.FinishedAt
	if modified.IsZero() || part == "input" {
		modified = t.CreatedAt
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		h.Set("Content-Disposition", `inline; filename="`+part+"-"+t.ID+extension+`"`)
		h.Set("ETag", `"`+t.ID+"-"+part+"-"+uitoa(t.Revision)+`"`)
		a.serveContent(w, r, modified, data)
	}
}

// serveContent answers ranges, and with problems where http.ServeContent would write text.
func (a *API) serveContent(w http.ResponseWriter, r *http.Request, modified time.Time, data []byte) {
	out := &rangeWriter{slowWriter: a.newWriter(w), api: a, r: r}
	http.ServeContent(out, r, "", modified, bytes.NewReader(data))
}

// rangeWriter turns the one error that http.ServeContent writes into a problem.
type rangeWriter struct {
	*slowWriter
	api    *API
	r      *http.Request
	failed bool
}

func (w *rangeWriter) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.failed = true
	p := newProblem(abi.Errorf(abi.CodeInvalid, "the range %.100q cannot be served", w.r.Header.Get("Range")))
	p.setStatus(status)
	p.write(w.ResponseWriter, w.r)
}

func (w *rangeWriter) Write(p []byte) (int, error) {
	if w.failed {
		return len(p), nil
	}
	return w.slowWriter.Write(p)
}

// sniff tells the content type of bytes that nobody named. What could be a page is text.
func sniff(data []byte) (contentType, extension string) {
	switch {
	case len(data) == 0:
		return "text/plain; charset=utf-8", ".txt"
	case looksJSON(data):
		return "application/json", ".json"
	case isText(data):
		return "text/plain; charset=utf-8", ".txt"
	}
	ct := http.DetectContentType(data)
	if strings.HasPrefix(ct, "image/") && !strings.Contains(ct, "svg") || ct == "application/pdf" || ct == "application/zip" || ct == "application/x-gzip" {
		return ct, extensionOf(ct)
	}
	return "application/octet-stream", ".bin"
}

// looksJSON reports whether data is a JSON object or array.
func looksJSON(data []byte) bool {
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed)
}

func isText(data []byte) bool {
	return utf8.Valid(data) && !bytes.ContainsFunc(data, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' && r != 0x1b })
}

// safeType is a content type that a client gave, made harmless: pages and scripts are text.
func safeType(ct string) (contentType, extension string) {
	t, params, err := mime.ParseMediaType(ct)
	if err != nil || !strings.Contains(t, "/") {
		return "application/octet-stream", ".bin"
	}
	switch {
	case strings.HasPrefix(t, "text/"), strings.Contains(t, "html"), strings.Contains(t, "xml"), strings.Contains(t, "script"):
		return "text/plain; charset=utf-8", ".txt"
	case strings.HasPrefix(t, "multipart/"), strings.HasPrefix(t, "message/"):
		return "application/octet-stream", ".bin"
	}
	formatted := mime.FormatMediaType(t, params)
	if formatted == "" {
		return "application/octet-stream", ".bin"
	}
	return formatted, extensionOf(t)
}

func extensionOf(contentType string) string {
	switch contentType {
	case "application/json":
		return ".json"
	case "application/pdf":
		return ".pdf"
	case "application/zip":
		return ".zip"
	case "application/x-gzip", "application/gzip":
		return ".gz"
	case "image/png", "image/gif", "image/webp":
		return "." + strings.TrimPrefix(contentType, "image/")
	case "image/jpeg":
		return ".jpg"
	}
	return ".bin"
}
