package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
)

// checker is a RoundTripper that validates every answer against the OpenAPI document.
type checker struct {
	t     testing.TB
	inner http.RoundTripper
	api   *httpapi.API
}

// contract is the document as answers are checked against it. It is the same for every API.
type contract struct {
	paths    []pathPattern
	compiler *jsonschema.Compiler
	mu       sync.Mutex // of the schemas, which are compiled when they are needed
	schemas  map[string]*jsonschema.Schema
}

// pathPattern is a path of the document.
type pathPattern struct {
	path    string
	matches *regexp.Regexp
	item    map[string]any
}

const documentURL = "https://taskhost.example/openapi.json"

var (
	contractOnce sync.Once
	theContract  *contract
)

func loadContract(document []byte) (*contract, error) {
	d, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	c := &contract{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	tighten(d.(map[string]any)["components"])
	for path, item := range d.(map[string]any)["paths"].(map[string]any) {
		expr := "^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"
		c.paths = append(c.paths, pathPattern{path, regexp.MustCompile(expr), item.(map[string]any)})
	}
	// What has no braces goes before what has.
	slices.SortFunc(c.paths, func(a, b pathPattern) int { return strings.Count(a.path, "{") - strings.Count(b.path, "{") })
	return c, c.compiler.AddResource(documentURL, d)
}

// tighten lets objects have only the fields that the document names, so that none is forgotten.
func tighten(s any) {
	object, ok := s.(map[string]any)
	if !ok {
		return
	}
	if object["properties"] != nil && object["additionalProperties"] == true {
		object["additionalProperties"] = false
	}
	for _, v := range object {
		tighten(v)
	}
}

// schema compiles the schema at a place of the document.
func (c *contract) schema(pointer ...string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := documentURL + "#"
	for _, p := range pointer {
		at += "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	if s := c.schemas[at]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(at)
	c.schemas[at] = s
	return s, err
}

// operation finds what the document says of a request.
func (c *contract) operation(r *http.Request) (path string, operation map[string]any) {
	for _, p := range c.paths {
		if o, ok := p.item[strings.ToLower(r.Method)].(map[string]any); ok && p.matches.MatchString(r.URL.EscapedPath()) {
			return p.path, o
		}
	}
	return "", nil
}

// check compares an answer with the document.
func (c *contract) check(r *http.Request, status int, header http.Header, data []byte) error {
	contentType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	path, o := c.operation(r)
	if o == nil {
		if strings.HasPrefix(r.URL.Path, "/openapi.") || contentType == "application/problem+json" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusBadRequest) {
			return nil
		}
		return fmt.Errorf("no operation answers with %d %s", status, contentType)
	}
	response, ok := o["responses"].(map[string]any)[strconv.Itoa(status)].(map[string]any)
	if !ok {
		return fmt.Errorf("the status %d is not among the responses", status)
	}
	for name, h := range mapOf(response["headers"]) {
		if h.(map[string]any)["required"] == true && header.Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	content := mapOf(response["content"])
	switch {
	case len(content) == 0 && len(data) > 0:
		return fmt.Errorf("there is a body, of which the document knows nothing")
	case len(content) == 0 || content["*/*"] != nil:
		return nil
	case content[contentType] == nil:
		return fmt.Errorf("the content type is %q", contentType)
	case !strings.HasSuffix(contentType, "json"):
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	schema, err := c.schema("paths", path, strings.ToLower(r.Method), "responses", strconv.Itoa(status), "content", contentType, "schema")
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func mapOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func (c *checker) contract() *contract {
	contractOnce.Do(func() {
		var err error
		if theContract, err = loadContract(c.api.Document()); err != nil {
			panic(err)
		}
	})
	return theContract
}

func (c *checker) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.inner.RoundTrip(r)
	if err != nil || r.Method == http.MethodHead || res.Header.Get("Content-Type") == "text/event-stream" {
		return res, err
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return res, err
	}
	res.Body = io.NopCloser(bytes.NewReader(data))
	if err := c.contract().check(r, res.StatusCode, res.Header, data); err != nil {
		c.t.Errorf("%s %s answers %d against the OpenAPI document: %v\n%.500s", r.Method, r.URL, res.StatusCode, err, data)
	}
	return res, nil
}

// TestDocument validates the document, and lints it: what a reader of it needs is there.
func TestDocument(t *testing.T) {
	s := start(t, setup{})
	data, err := os.ReadFile(filepath.Join("testdata", "openapi-3.1-schema.json")) // https://spec.openapis.org/oas/3.1/schema, Apache-2.0
	if err != nil {
		t.Fatal(err)
	}
	official, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("https://spec.openapis.org/oas/3.1/schema.json", official); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("https://spec.openapis.org/oas/3.1/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	r := s.do("GET", "/openapi.json", nil, "X-Role", "none")
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	if err == nil {
		err = schema.Validate(value)
	}
	if r.status != http.StatusOK || err != nil {
		t.Errorf("%d %v", r.status, err)
	}
	if r := s.do("GET", "/openapi.yaml", nil); r.status != http.StatusOK || !bytes.Contains(r.body, []byte("\nopenapi: 3.1")) {
		t.Errorf("%d %.200s", r.status, r.body)
	}
	c, err := loadContract(s.api.Document())
	if err != nil {
		t.Fatal(err)
	}
	for name := range mapOf(mapOf(value.(map[string]any)["components"])["schemas"]) {
		if _, err := c.schema("components", "schemas", name); err != nil {
			t.Errorf("the schema %s: %v", name, err)
		}
	}
	var d struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Description string
			Tags        []string
			Role        auth.Role `json:"x-role"`
			Parameters  []struct{ Name, In, Description string }
			Responses   map[string]struct{ Description string }
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(s.api.Document(), &d); err != nil || !strings.HasPrefix(d.OpenAPI, "3.1") || len(d.Paths) < 30 {
		t.Fatalf("%v: %d paths of %s", err, len(d.Paths), d.OpenAPI)
	}
	ids := map[string]bool{}
	for path, item := range d.Paths {
		for method, o := range item {
			where := strings.ToUpper(method) + " " + path
			switch {
			case o.OperationID == "" || ids[o.OperationID]:
				t.Errorf("%s has the id %q, which is none or another's", where, o.OperationID)
			case o.Summary == "" || len(o.Tags) != 1 || !slices.Contains(auth.Roles(), o.Role) || !strings.Contains(o.Description, string(o.Role)):
				t.Errorf("%s has the summary %q, the tags %q and the role %q", where, o.Summary, o.Tags, o.Role)
			}
			ids[o.OperationID] = true
			for _, p := range o.Parameters {
				if p.Description == "" && !slices.Contains([]string{"name", "kind", "queue", "limit"}, p.Name) {
					t.Errorf("%s does not describe its parameter %s", where, p.Name)
				}
			}
			if strings.Count(path, "{") != len(slices.DeleteFunc(slices.Clone(o.Parameters), func(p struct{ Name, In, Description string }) bool { return p.In != "path" })) {
				t.Errorf("%s: its parameters are not those of the path", where)
			}
		}
	}
	// Every schema is used, and every reference leads somewhere.
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(string(s.api.Document()), -1) {
		if d.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
}

// TestSpecSchema compares the schema of a task, which is written by hand, with what manager.DecodeSpec takes and MarshalJSON gives.
func TestSpecSchema(t *testing.T) {
	s := start(t, setup{})
	var d struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]json.RawMessage }
		}
	}
	if err := json.Unmarshal(s.api.Document(), &d); err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{
		"name": `"n"`, "kind": `"agent"`, "steps": `["p:f",{"step":"p","config":{"a":"b"},"timeout":"1s"}]`, "content": `"c"`, "args": `{"a":1}`, "input": `"aGk="`,
		"labels": `{"a":"b"}`, "timeout": `"1m"`, "step_timeout": `"1m"`, "retry": `{"max_attempts":2,"backoff":"1s","max_backoff":"2s","codes":["trap"]}`,
		"queue": `"q"`, "priority": `3`, "run_at": `"2030-01-01T00:00:00Z"`, "delay": `"1s"`, "expiry": `"1h"`, "unique": `{"key":"k","window":"1h","existing":true}`,
		"after": `["#1"]`, "after_failed": `"skip"`, "collect": `true`, "traceparent": `"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`,
	}
	check := func(schema, prefix string, decode func(field, value string) error, values map[string]string) {
		for field := range d.Components.Schemas[schema].Properties {
			value, ok := values[field]
			if !ok {
				t.Errorf("the schema %s has the field %s, of which this test knows nothing", schema, field)
			} else if err := decode(field, value); err != nil {
				t.Errorf("the schema %s has %s%s: %v", schema, prefix, field, err)
			}
		}
		for field, value := range values {
			if _, ok := d.Components.Schemas[schema].Properties[field]; !ok && decode(field, value) == nil {
				t.Errorf("the schema %s lacks the field %s", schema, field)
			}
		}
	}
	check("Spec", "", func(field, value string) error {
		_, err := manager.DecodeSpec(fmt.Appendf(nil, `{%q:%s}`, field, value))
		return err
	}, examples)
	for _, inner := range []struct{ schema, in string }{{"Retry", "retry"}, {"Unique", "unique"}, {"StepObject", "steps"}} {
		values := map[string]json.RawMessage{}
		example := examples[inner.in]
		if inner.in == "steps" {
			example = `{"step":"p","config":{"a":"b"},"timeout":"1s"}`
		}
		if err := json.Unmarshal([]byte(example), &values); err != nil {
			t.Fatal(err)
		}
		fields := map[string]string{}
		for k, v := range values {
			fields[k] = string(v)
		}
		check(inner.schema, inner.in+".", func(field, value string) error {
			object := fmt.Sprintf(`{%q:%s}`, field, value)
			if inner.in == "steps" {
				object = "[" + object + "]"
			}
			_, err := manager.DecodeSpec(fmt.Appendf(nil, `{%q:%s}`, inner.in, object))
			return err
		}, fields)
	}
	// A spec with everything set has no field that the schema lacks.
	full := manager.Spec{
		Name: "n", Kind: manager.KindAgent, Steps: []manager.Step{{Plugin: "p"}}, Content: "c", Args: map[string]any{"a": 1}, Input: []byte("i"),
		Labels: map[string]string{"a": "b"}, Timeout: 1, StepTimeout: 1, Retry: manager.Retry{MaxAttempts: 1}, Queue: "q", Priority: 1, RunAt: time.Unix(1, 0),
		Expiry: 1, Unique: manager.Unique{Key: "k"}, After: []string{"a"}, AfterFailed: manager.AfterSkip, Collect: true, TraceParent: "t",
	}
	data, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	var written map[string]any
	if err := json.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	for field := range written {
		if _, ok := d.Components.Schemas["Spec"].Properties[field]; !ok {
			t.Errorf("specs are written with %s, which the schema lacks", field)
		}
	}
}
