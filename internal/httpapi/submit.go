package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// Labels that the API sets.
const (
	LabelContentType = "content_type" // what the raw input of a task was sent as
	LabelIdempotency = "idempotency"  // the digest of the request that submitted the task with an Idempotency-Key
)

// What an Idempotency-Key may be.
const (
	maxIdempotencyKey = 200
	idempotencyWindow = 24 * time.Hour
)

const pathTasks = "/v1/tasks"

// addSubmit adds the submit of one task. It is the hot path: the request and the answer are read and written without reflection.
func (a *API) addSubmit() {
	o := operation{
		method: http.MethodPost, path: pathTasks, id: "submitTask", role: auth.RoleSubmit, tag: "tasks",
		summary: "Submit a task",
		about: "With `application/json` the body is the task. With any other content type, and with `step` in the query, the body is the task's raw " +
			"input and the query says the rest; the content type is kept as the label `content_type`. The same `Idempotency-Key` within 24 hours " +
			"answers with the task that was made first, and the header `Idempotent-Replayed`; another request with the same key is a conflict.",
		params: submitParams(),
		body: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemaOf[manager.Spec](a)},
			"*/*":              {Schema: &huma.Schema{Description: "the raw input"}},
		}},
		responses: map[int]*huma.Response{
			http.StatusCreated: withHeaders(jsonResponse[manager.Task](a, "It was submitted."), "Location"),
			http.StatusOK:      withHeaders(jsonResponse[manager.Task](a, "It had been submitted before with this key."), "Location", "Idempotent-Replayed"),
		},
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests},
	}
	addRaw(a, o, a.submit)
}

func withHeaders(r *huma.Response, names ...string) *huma.Response {
	r.Headers = map[string]*huma.Param{}
	for _, n := range names {
		r.Headers[n] = &huma.Header{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return r
}

func queryParam(name, about string, s *huma.Schema) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: about, Schema: s}
}

func stringList() *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
}

func submitParams() []*huma.Param {
	text := func() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }
	number := func() *huma.Schema { return &huma.Schema{Type: huma.TypeInteger} }
	return []*huma.Param{
		{Name: "Idempotency-Key", In: "header", Description: "names the submit, so that it can be repeated", Schema: text()},
		{Name: "Traceparent", In: "header", Description: "the trace that the task belongs to (W3C Trace Context)", Schema: text()},
		queryParam("wait", "wait so long at most for the end before answering, such as 30s", text()),
		queryParam("include", "bytes that the answer has: input, output, partial, checkpoint", text()),
		queryParam("step", "raw input: plugin or plugin:function; several run in their order", stringList()),
		queryParam("kind", "raw input: processor or agent", text()),
		queryParam("name", "raw input: groups tasks of the same sort", text()),
		queryParam("queue", "raw input: the line that the task stands in", text()),
		queryParam("priority", "raw input: from -10 to 10", number()),
		queryParam("delay", "raw input: start that much later", text()),
		queryParam("run_at", "raw input: start then", text()),
		queryParam("expiry", "raw input: bounds the wait for the start", text()),
		queryParam("timeout", "raw input: from the first start to the end", text()),
		queryParam("step_timeout", "raw input: of each step", text()),
		queryParam("attempts", "raw input: how often it is tried in all", number()),
		queryParam("unique", "raw input: one task at a time holds this key", text()),
		queryParam("label", "raw input: name=value", stringList()),
	}
}

// submitFast takes the request if it is the submit of one task, past the mux.
func (a *API) submitFast(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost || r.URL.Path != pathTasks {
		return false
	}
	if err := auth.Require(r.Context(), auth.RoleSubmit); err != nil {
		a.fail(w, r, err)
		return true
	}
	r.Pattern = "POST " + pathTasks // as the mux would say, for metrics
	a.submit(w, r)
	return true
}

func (a *API) submit(w http.ResponseWriter, r *http.Request) {
	var q url.Values
	if r.URL.RawQuery != "" {
		var err error
		if q, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			a.fail(w, r, abi.Errorf(abi.CodeInvalid, "the query cannot be read: %w", err))
			return
		}
	}
	wait, err := a.parseWait(q.Get("wait"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	t, replayed, err := a.submitBody(w, r, q)
	if err == nil && wait > 0 {
		if ended, e := a.await(r.Context(), t.ID, wait); e == nil {
			t = ended
		}
		a.beginAnswer(w)
	}
	if err == nil {
		err = include(&t, splitList(q["include"]))
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	h := w.Header()
	h["Location"] = []string{pathTasks + "/" + t.ID}
	status := http.StatusCreated
	if replayed {
		status = http.StatusOK
		h["Idempotent-Replayed"] = []string{"true"}
	}
	writeTask(w, status, &t)
}

// submitBody submits the task that a request's body has.
func (a *API) submitBody(w http.ResponseWriter, r *http.Request, q url.Values) (t manager.Task, replayed bool, err error) {
	b := a.newBody(w, r, a.cfg.Limits.MaxInput)
	counted, release := a.bodies.within(w, r, b)
	defer release()
	spec, digest, err := a.readSpec(r, q, b, counted)
	if err != nil {
		return t, false, err
	}
	trace(&spec, r.Header)
	return a.submitOnce(r.Context(), spec, r.Header["Idempotency-Key"], digest)
}

// trace gives a task the trace of the request that submits it, unless it names one itself. As the standard wants it, a header that cannot
// be read is passed over.
func trace(spec *manager.Spec, h http.Header) {
	if v := h["Traceparent"]; len(v) == 1 && spec.TraceParent == "" {
		if _, ok := abi.ParseTraceParent(v[0]); ok {
			spec.TraceParent = v[0]
		}
	}
}

// readSpec reads what is to be submitted, and the digest that tells one request from another if there is an Idempotency-Key. counted reads b.
func (a *API) readSpec(r *http.Request, q url.Values, b *bodyReader, counted io.Reader) (spec manager.Spec, digest string, err error) {
	contentType := ""
	if ct := r.Header["Content-Type"]; len(ct) > 0 {
		contentType = ct[0]
	}
	raw := !isJSON(contentType) || q.Has("step")
	if raw {
		if spec, err = rawSpec(q, contentType); err != nil {
			return spec, "", err
		}
	} else if err = onlyQuery(q, "wait", "include"); err != nil {
		return spec, "", err
	}
	buf := getBuffer()
	defer putBuffer(buf)
	if n := r.ContentLength; n > 0 && n <= maxPooled {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err = buf.ReadFrom(counted)
	b.done()
	if err != nil {
		return spec, "", bodyProblem(err)
	}
	data := buf.Bytes()
	if len(r.Header["Idempotency-Key"]) > 0 {
		digest = requestDigest(r.URL.RawQuery, contentType, data)
	}
	if raw {
		spec.Input = bytes.Clone(data)
		return spec, digest, nil
	}
	if !utf8.Valid(data) {
		return spec, "", abi.Errorf(abi.CodeInvalid, "the task is not valid UTF-8")
	}
	spec, err = manager.DecodeSpec(data)
	return spec, digest, err
}

// requestDigest tells requests apart.
func requestDigest(query, contentType string, data []byte) string {
	h := sha256.New()
	_, _ = io.WriteString(h, query+"\x00"+contentType+"\x00")
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == "application/json"
}

// onlyQuery refuses parameters that are not among the names, so that a misspelt one does not go unnoticed.
func onlyQuery(q url.Values, names ...string) error {
next:
	for name := range q {
		for _, n := range names {
			if n == name {
				continue next
			}
		}
		return abi.Errorf(abi.CodeInvalid, "%.60q is no parameter of this query: %s", name, strings.Join(names, ", "))
	}
	return nil
}

// splitList reads a list that is given by commas, several times, or both.
func splitList(values []string) (list []string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

// rawSpec is the task whose input is the body: the query has the rest.
func rawSpec(q url.Values, contentType string) (s manager.Spec, err error) {
	if len(q["step"]) == 0 {
		return s, abi.Errorf(abi.CodeInvalid, "there is no step: give a task with the content type application/json, or a raw input with ?step=PLUGIN")
	}
	if err := onlyQuery(q, "wait", "include", "step", "kind", "name", "queue", "priority", "delay", "run_at", "expiry", "timeout", "step_timeout",
		"attempts", "unique", "label"); err != nil {
		return s, err
	}
	s = manager.Spec{Name: q.Get("name"), Kind: manager.Kind(q.Get("kind")), Queue: q.Get("queue"), Unique: manager.Unique{Key: q.Get("unique")}}
	for _, step := range q["step"] {
		s.Steps = append(s.Steps, manager.Step{Plugin: step})
	}
	if s.Labels, err = parseLabels(q["label"]); err != nil {
		return s, err
	}
	if contentType != "" {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[LabelContentType] = contentType
	}
	var delay time.Duration
	for name, to := range map[string]*time.Duration{"delay": &delay, "expiry": &s.Expiry, "timeout": &s.Timeout, "step_timeout": &s.StepTimeout} {
		if v := q.Get(name); v != "" {
			if *to, err = time.ParseDuration(v); err != nil {
				return s, abi.Errorf(abi.CodeInvalid, "%s is %.40q, which is no duration: write for example 90s or 1m30s", name, v)
			}
		}
	}
	for name, to := range map[string]*int{"priority": &s.Priority, "attempts": &s.Retry.MaxAttempts} {
		if v := q.Get(name); v != "" {
			if *to, err = strconv.Atoi(v); err != nil {
				return s, abi.Errorf(abi.CodeInvalid, "%s is %.40q, which is no number", name, v)
			}
		}
	}
	return s, rawTime(&s, q.Get("run_at"), delay)
}

func rawTime(s *manager.Spec, at string, delay time.Duration) (err error) {
	switch {
	case at != "" && delay != 0:
		return abi.Errorf(abi.CodeInvalid, "give one of run_at and delay, not both")
	case at != "":
		if s.RunAt, err = time.Parse(time.RFC3339, at); err != nil {
			return abi.Errorf(abi.CodeInvalid, "run_at is %.40q; it must be a time such as 2006-01-02T15:04:05Z", at)
		}
	case delay != 0:
		s.RunAt = time.Now().UTC().Add(delay)
	}
	return nil
}

// submitOnce submits a task, or finds the one that was submitted with the same key.
func (a *API) submitOnce(ctx context.Context, spec manager.Spec, keys []string, digest string) (t manager.Task, replayed bool, err error) {
	if len(keys) == 0 {
		t, err = a.cfg.Tasks.Submit(ctx, spec)
		return t, false, err
	}
	if err = mark(ctx, &spec, keys, digest); err != nil {
		return t, false, err
	}
	t, err = a.cfg.Tasks.Submit(ctx, spec)
	if err == nil || abi.CodeOf(err) != abi.CodeConflict {
		return t, false, err
	}
	t, err = a.earlier(ctx, err, digest)
	return t, true, err
}

// mark makes a task hold an Idempotency-Key: as its unique key, which the store keeps, so that it outlasts a restart.
func mark(ctx context.Context, spec *manager.Spec, keys []string, digest string) error {
	key := keys[0]
	switch {
	case len(keys) > 1 || key == "" || len(key) > maxIdempotencyKey || !utf8.ValidString(key):
		return abi.Errorf(abi.CodeInvalid, "an Idempotency-Key is one text of 1 to %d bytes", maxIdempotencyKey)
	case spec.Unique.Key != "":
		return abi.Errorf(abi.CodeInvalid, "the task has a unique key of its own: give that or an Idempotency-Key, not both")
	}
	sum := sha256.Sum256([]byte(auth.From(ctx).ID + "\x00" + key))
	spec.Unique = manager.Unique{Key: "idempotency:" + hex.EncodeToString(sum[:]), Window: idempotencyWindow}
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	spec.Labels[LabelIdempotency] = digest
	return nil
}

// earlier is the task that a conflict names, if the same request made it.
func (a *API) earlier(ctx context.Context, conflict error, digest string) (manager.Task, error) {
	id := abi.AsError(conflict).Task
	if id == "" {
		return manager.Task{}, conflict
	}
	t, err := a.cfg.Tasks.Get(ctx, id)
	if err != nil {
		return manager.Task{}, err
	}
	if t.Spec.Labels[LabelIdempotency] != digest {
		e := abi.Errorf(abi.CodeConflict, "this Idempotency-Key was used for another request")
		e.Task = id
		return manager.Task{}, e
	}
	return t, nil
}

// writeTask answers with a task.
func writeTask(w http.ResponseWriter, status int, t *manager.Task) {
	b := getBuffer()
	defer putBuffer(b)
	text := append(appendTask(b.AvailableBuffer(), t), '\n')
	b.Write(text) // so that the pool keeps what it grew to
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
