package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
)

// operation is what is said of an operation besides its input and output.
type operation struct {
	method, path string
	id           string // in the OpenAPI document
	role         auth.Role
	tag          string
	summary      string
	about        string // more than the summary
	status       int    // of success; default 200, or 204 without a body
	errors       []int  // statuses that it may answer besides those that all may
	responses    map[int]*huma.Response
	params       []*huma.Param
	body         *huma.RequestBody
}

// describe makes the operation as the document has it.
func (a *API) describe(o *operation) huma.Operation {
	d := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary,
		Description:   "Needs the role `" + string(o.role) + "`.",
		DefaultStatus: o.status,
		Parameters:    o.params,
		RequestBody:   o.body,
		Responses:     map[string]*huma.Response{},
		MaxBodyBytes:  -1, // exchange bounds it
		Extensions:    map[string]any{"x-role": string(o.role)},
		Metadata:      map[string]any{"role": o.role},
		Security:      []map[string][]string{{"bearer": {}}},
	}
	if o.about != "" {
		d.Description = o.about + " " + d.Description
	}
	for status, r := range o.responses {
		d.Responses[strconv.Itoa(status)] = r
	}
	problems := append([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError,
		http.StatusServiceUnavailable}, o.errors...)
	if o.method != http.MethodGet && o.method != http.MethodDelete {
		problems = append(problems, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge)
	}
	if strings.Contains(o.path, "{") {
		problems = append(problems, http.StatusNotFound)
	}
	for _, status := range problems {
		d.Responses[strconv.Itoa(status)] = a.problemResponse(http.StatusText(status))
	}
	return d
}

func (a *API) problemResponse(about string) *huma.Response {
	return &huma.Response{Description: about, Content: map[string]*huma.MediaType{problemType: {Schema: schemaOf[Problem](a)}}}
}

// schemaOf is the schema of a type, by reference.
func schemaOf[T any](a *API) *huma.Schema {
	return a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// jsonResponse describes an answer whose body is a T.
func jsonResponse[T any](a *API, about string) *huma.Response {
	return &huma.Response{Description: about, Content: map[string]*huma.MediaType{"application/json": {Schema: schemaOf[T](a)}}}
}

// add adds an operation whose input and output are described by types, as huma wants them.
func add[I, O any](a *API, o operation, do func(ctx context.Context, in *I) (*O, error)) {
	huma.Register(a.huma, a.describe(&o), func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// addRaw adds an operation that reads its request and writes its answer itself.
func addRaw(a *API, o operation, do http.HandlerFunc) {
	d := a.describe(&o)
	a.huma.OpenAPI().AddOperation(&d)
	a.mux.HandleFunc(o.method+" "+o.path, func(w http.ResponseWriter, r *http.Request) {
		if err := auth.Require(r.Context(), o.role); err != nil {
			a.fail(w, r, err)
			return
		}
		do(w, r)
	})
}

// answer writes the answer of an operation that is added with addAnswer.
type answer func(w http.ResponseWriter, r *http.Request)

// addAnswer adds an operation whose input is described by a type and which writes its answer itself.
func addAnswer[I any](a *API, o operation, do func(ctx context.Context, in *I) (answer, error)) {
	huma.Register(a.huma, a.describe(&o), func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		write, err := do(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			x, _ := c.(*exchange)
			a.beginAnswer(x.w) // huma does not call SetStatus here
			write(x.w, x.r)
		}}, nil
	})
}

// body is an answer that is a JSON value.
type body[T any] struct{ Body T }

// none is the input of operations without parameters.
type none struct{}

// adapter ties huma to the mux. It checks the role before anything of the request is looked at.
type adapter struct{ api *API }

func (d *adapter) Handle(o *huma.Operation, handle func(huma.Context)) {
	a := d.api
	role, _ := o.Metadata["role"].(auth.Role)
	a.mux.HandleFunc(o.Method+" "+o.Path, func(w http.ResponseWriter, r *http.Request) {
		if err := auth.Require(r.Context(), role); err != nil {
			a.fail(w, r, err)
			return
		}
		x := &exchange{humaContext: humago.NewContext(o, r, w), api: a, w: w, r: r}
		defer x.finish()
		handle(x)
	})
}

func (d *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.api.ServeHTTP(w, r) }

// humaContext has another name than its method Context.
type humaContext = huma.Context

// exchange is one request and its answer, as huma sees them.
type exchange struct {
	humaContext
	api    *API
	w      http.ResponseWriter
	r      *http.Request
	body   *bodyReader
	status int // what the answer is instead of what huma wants
}

// finish gives the answer its time after the reading of the body.
func (x *exchange) finish() {
	if x.body != nil {
		x.body.done()
	}
}

// BodyReader reads the body within its bounds of size and time.
func (x *exchange) BodyReader() io.Reader {
	if x.body == nil {
		x.body = x.api.newBody(x.w, x.r, x.api.cfg.Limits.MaxBody)
	}
	return &bodyOnce{x.body}
}

// bodyOnce begins the time of the answer at the end of the body.
type bodyOnce struct{ *bodyReader }

func (b *bodyOnce) Read(p []byte) (int, error) {
	n, err := b.bodyReader.Read(p)
	if err != nil {
		b.done()
	}
	return n, err
}

// SetReadDeadline does nothing: the reader of the body moves the deadline.
func (x *exchange) SetReadDeadline(time.Time) error { return nil }

// SetStatus begins the answer.
func (x *exchange) SetStatus(status int) {
	if x.status != 0 {
		status = x.status
	}
	x.api.beginAnswer(x.w)
	x.humaContext.SetStatus(status)
}

// beginAnswer gives an answer its time from now on: the request may have waited.
func (a *API) beginAnswer(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(a.cfg.Limits.WriteTimeout + time.Minute))
}

// BodyWriter never fails: a client that is gone is no fault of the server.
func (x *exchange) BodyWriter() io.Writer { return quietWriter{x.w} }

type quietWriter struct{ w io.Writer }

func (q quietWriter) Write(p []byte) (int, error) {
	_, _ = q.w.Write(p)
	return len(p), nil
}

// transform makes Problems of huma's errors.
func transform(c huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	x, _ := c.(*exchange)
	p := fromHuma(m)
	if x.body != nil && x.body.err != nil {
		p = bodyProblem(x.body.err)
	}
	x.status = p.Status
	return p, nil
}

// newHuma makes the document and what checks requests against it.
func newHuma(a *API) huma.API {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	for _, alias := range aliases() {
		registry.RegisterTypeAlias(alias[0], alias[1])
	}
	format := huma.Format{Marshal: marshal, Unmarshal: unmarshal}
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "taskhost",
				Version:     a.cfg.Version,
				Description: "Background tasks whose code is sandboxed WebAssembly plugins. Errors are application/problem+json with a code that is the same word everywhere.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", Description: "A token that taskhost token create made. A server without tokens takes every request from its own machine."},
				},
			},
			Servers: []*huma.Server{{URL: "/"}},
			Tags:    tags(),
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format}, // the latter for problem+json
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{transform},
	}
	c.AllowAdditionalPropertiesByDefault = true
	return huma.NewAPI(c, &adapter{a})
}

func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "tasks", Description: "Submit tasks, look at them, stop them."},
		{Name: "batches", Description: "Tasks that are submitted together."},
		{Name: "events", Description: "What happens to tasks, live."},
		{Name: "plugins", Description: "Plugins and their versions."},
		{Name: "queues", Description: "Queues and their limits."},
		{Name: "schedules", Description: "Tasks that are submitted again and again."},
		{Name: "agents", Description: "What agents remember."},
		{Name: "server", Description: "The server itself."},
	}
}

// buffers are reused for answers.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is kept.
const maxPooled = 1 << 20

func getBuffer() *bytes.Buffer {
	b, _ := buffers.Get().(*bytes.Buffer)
	b.Reset()
	return b
}

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		buffers.Put(b)
	}
}

// marshal writes a JSON value and a newline.
func marshal(w io.Writer, v any) error {
	b := getBuffer()
	defer putBuffer(b)
	if err := encode(b, v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// unmarshal reads a JSON value of valid UTF-8.
func unmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return abi.Errorf(abi.CodeInvalid, "it is not valid UTF-8")
	}
	return json.Unmarshal(data, v)
}

// writeJSON answers with a JSON value.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, contentType string, v any) {
	b := getBuffer()
	defer putBuffer(b)
	if err := encode(b, v); err != nil { // cannot be: everything that is written has a JSON form
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}
