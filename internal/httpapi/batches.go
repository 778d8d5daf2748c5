package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// BatchStatus is a batch at one moment.
type BatchStatus struct {
	ID     string         `json:"id"`
	Counts manager.Counts `json:"counts"`
	Done   bool           `json:"done" doc:"all of its tasks have ended"`
	Tasks  []manager.Task `json:"tasks" doc:"the first 1,000, in the order in which they were submitted, without their bytes"`
	Next   string         `json:"next,omitempty" doc:"there are more: cursor of GET /v1/tasks?label=batch_id=ID"`
}

// newBatch is the body of a submit of several.
type newBatch struct {
	_     struct{}       `additionalProperties:"false"`
	Tasks []manager.Spec `json:"tasks" minItems:"1" maxItems:"10000"`
}

func (a *API) addBatches() {
	addRaw(a, operation{
		method: http.MethodPost, path: "/v1/batches", id: "submitBatch", role: auth.RoleSubmit, tag: "batches",
		summary: "Submit several tasks, all or none",
		about:   "A task's `after` may name earlier ones of the batch as #1, #2 and so on. As `application/x-ndjson` the body has one task a line.",
		params:  []*huma.Param{{Name: "Idempotency-Key", In: "header", Description: "names the submit, so that it can be repeated", Schema: &huma.Schema{Type: huma.TypeString}}},
		body: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json":     {Schema: schemaOf[newBatch](a)},
			"application/x-ndjson": {Schema: &huma.Schema{Description: "a task on each line"}},
		}},
		responses: map[int]*huma.Response{
			http.StatusCreated: withHeaders(jsonResponse[manager.Batch](a, "They were submitted."), "Location"),
			http.StatusOK:      withHeaders(jsonResponse[manager.Batch](a, "They had been submitted before with this key."), "Location", "Idempotent-Replayed"),
		},
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests},
	}, a.submitBatch)
	add(a, operation{
		method: http.MethodGet, path: "/v1/batches/{id}", id: "getBatch", role: auth.RoleRead, tag: "batches",
		summary: "How far a batch is", errors: []int{http.StatusNotFound},
	}, a.getBatch)
}

func (a *API) submitBatch(w http.ResponseWriter, r *http.Request) {
	b := a.newBody(w, r, a.cfg.Limits.MaxInput)
	counted, release := a.bodies.within(w, r, b)
	defer release()
	buf := getBuffer()
	defer putBuffer(buf)
	_, err := buf.ReadFrom(counted)
	b.done()
	if err != nil {
		a.fail(w, r, bodyProblem(err))
		return
	}
	contentType := r.Header.Get("Content-Type")
	specs, err := decodeBatch(contentType, buf.Bytes())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	for i := range specs {
		trace(&specs[i], r.Header)
	}
	batch, replayed, err := a.submitBatchOnce(r.Context(), specs, r.Header["Idempotency-Key"], contentType, buf.Bytes())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	for i := range batch.Tasks {
		light(&batch.Tasks[i])
	}
	status := http.StatusCreated
	if replayed {
		status = http.StatusOK
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.Header().Set("Location", "/v1/batches/"+batch.ID)
	writeJSON(a.newWriter(w), r, status, "application/json", &batch)
}

// submitBatchOnce submits a batch, or finds the one that was submitted with the same key. The first task holds the key for all.
func (a *API) submitBatchOnce(ctx context.Context, specs []manager.Spec, keys []string, contentType string, data []byte) (b manager.Batch, replayed bool, err error) {
	digest := ""
	if len(keys) > 0 {
		digest = requestDigest("batch", contentType, data)
		if err = mark(ctx, &specs[0], keys, digest); err != nil {
			return b, false, err
		}
	}
	b, err = a.cfg.Tasks.SubmitBatch(ctx, specs)
	if err == nil || len(keys) == 0 || abi.CodeOf(err) != abi.CodeConflict {
		return b, false, err
	}
	first, err := a.earlier(ctx, err, digest)
	if err != nil {
		return b, false, err
	}
	b.ID = first.Spec.Labels[manager.LabelBatchID]
	b.Tasks, err = a.batchTasks(ctx, b.ID)
	return b, true, err
}

// decodeBatch reads the tasks of a batch as strictly as one task.
func decodeBatch(contentType string, data []byte) (specs []manager.Spec, err error) {
	t, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && t == "application/x-ndjson":
		return decodeLines(data)
	case !isJSON(contentType):
		return nil, abi.Errorf(abi.CodeInvalid, "a batch is application/json or application/x-ndjson, not %.100q", contentType)
	case !utf8.Valid(data):
		return nil, abi.Errorf(abi.CodeInvalid, "the batch is not valid UTF-8")
	}
	var in struct {
		Tasks []json.RawMessage `json:"tasks"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "the batch cannot be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, abi.Errorf(abi.CodeInvalid, "there is something after the batch")
	}
	return decodeSpecs(in.Tasks)
}

func decodeLines(data []byte) ([]manager.Spec, error) {
	if !utf8.Valid(data) {
		return nil, abi.Errorf(abi.CodeInvalid, "the batch is not valid UTF-8")
	}
	var lines []json.RawMessage
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, json.RawMessage(line))
		}
		if len(lines) > manager.MaxBatch {
			break
		}
	}
	return decodeSpecs(lines)
}

func decodeSpecs(list []json.RawMessage) ([]manager.Spec, error) {
	if len(list) < 1 || len(list) > manager.MaxBatch {
		return nil, abi.Errorf(abi.CodeInvalid, "the batch must have between 1 and %d tasks", manager.MaxBatch)
	}
	specs := make([]manager.Spec, len(list))
	for i, raw := range list {
		spec, err := manager.DecodeSpec(raw)
		if err != nil {
			return nil, abi.Errorf(abi.CodeInvalid, "task #%d of the batch: %w", i+1, err)
		}
		specs[i] = spec
	}
	return specs, nil
}

// batchTasks are all tasks of a batch, in the order in which they were submitted, light.
func (a *API) batchTasks(ctx context.Context, id string) ([]manager.Task, error) {
	f := manager.Filter{Labels: map[string]string{manager.LabelBatchID: id}, Limit: manager.MaxPage}
	var tasks []manager.Task
	for {
		page, err := a.cfg.Tasks.List(ctx, f)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, page.Tasks...)
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	if len(tasks) == 0 {
		return nil, abi.Errorf(abi.CodeNotFound, "there is no batch %.64q", id)
	}
	for i, j := 0, len(tasks)-1; i < j; i, j = i+1, j-1 {
		tasks[i], tasks[j] = tasks[j], tasks[i]
	}
	return tasks, nil
}

// maxBatchTasks is how many tasks a BatchStatus has.
const maxBatchTasks = 1000

func (a *API) getBatch(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"64" doc:"of the batch"`
	WaitParam
},
) (*body[BatchStatus], error) {
	wait, err := a.parseWait(in.Wait)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		if err := a.awaitBatch(ctx, in.ID, wait); err != nil {
			return nil, err
		}
	}
	tasks, err := a.batchTasks(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s := BatchStatus{ID: in.ID, Tasks: tasks}
	for i := range tasks {
		light(&tasks[i])
		s.count(tasks[i].Status)
	}
	s.Done = s.Counts.Pending+s.Counts.Running == 0
	if len(tasks) > maxBatchTasks {
		s.Tasks, s.Next = tasks[:maxBatchTasks], "/v1/tasks?label=batch_id="+in.ID
	}
	return &body[BatchStatus]{s}, nil
}

func (s *BatchStatus) count(status manager.Status) {
	switch status {
	case manager.StatusPending:
		s.Counts.Pending++
	case manager.StatusRunning:
		s.Counts.Running++
	case manager.StatusCompleted:
		s.Counts.Completed++
	case manager.StatusFailed:
		s.Counts.Failed++
	case manager.StatusCancelled:
		s.Counts.Cancelled++
	}
}

// awaitBatch waits for the end of all tasks of a batch, or of the time.
func (a *API) awaitBatch(ctx context.Context, id string, wait time.Duration) error {
	release, err := a.beginWait()
	if err != nil {
		return err
	}
	defer release()
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tasks, err := a.cfg.Tasks.BatchResult(limited, id)
	if !auth.Valid(ctx) {
		return errOver()
	}
	if len(tasks) > 0 || limited.Err() != nil { // the errors of its tasks are told with them
		return ctx.Err()
	}
	return err
}
