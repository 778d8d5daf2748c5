package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
)

// requests makes random requests out of the OpenAPI document: what it allows, and what is near to that.
type requests struct {
	operations []described
	schemas    map[string]any
	ids        []string // of tasks that there are
}

// described is an operation as the document has it.
type described struct {
	method, path string
	parameters   []any
	content      map[string]any // of its body
}

func newRequests(t testing.TB, document []byte, ids []string) *requests {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	r := &requests{schemas: mapOf(mapOf(d["components"])["schemas"]), ids: ids}
	for path, item := range mapOf(d["paths"]) {
		for method, o := range mapOf(item) {
			list, _ := mapOf(o)["parameters"].([]any)
			r.operations = append(r.operations, described{strings.ToUpper(method), path, list, mapOf(mapOf(mapOf(o)["requestBody"])["content"])})
		}
	}
	slices.SortFunc(r.operations, func(a, b described) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return r
}

// words are values that mean something somewhere, and such as break things.
var words = []string{
	"upper", "agent", "a", "default", "completed", "failed", "pending", "processor", "input", "output", "name=value", "1ms", "0s", "-1s", "99h", "x", "-1", "0", "1000",
	"1001", "99999999999999999999", "true", "2030-01-01T00:00:00Z", "0000-00-00", "", "..", "../..", "%2e", "\x00", "\xff", "'\"<>&", "日本語", "#1", "agent/1:count",
	"sha256:0000000000000000000000000000000000000000000000000000000000000000", "@every 1s", "* * * * *", "Mars/Olympus", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}

func (r *requests) word(t *rapid.T) string {
	switch rapid.IntRange(0, 9).Draw(t, "sort") {
	case 0:
		return rapid.String().Draw(t, "text")
	case 1:
		return strings.Repeat("x", rapid.IntRange(0, 5000).Draw(t, "length"))
	case 4, 5:
		return "upper"
	case 2, 3:
		return rapid.SampledFrom(r.ids).Draw(t, "id")
	}
	return rapid.SampledFrom(words).Draw(t, "word")
}

// value makes a value of a schema, or now and then one that is not.
func (r *requests) value(t *rapid.T, schema any, depth int) any {
	s := mapOf(schema)
	if ref, ok := s["$ref"].(string); ok {
		if strings.HasSuffix(ref, "/Spec") && rapid.Bool().Draw(t, "good") {
			return map[string]any{"steps": []string{"upper"}, "content": r.word(t)}
		}
		s = mapOf(r.schemas[ref[strings.LastIndex(ref, "/")+1:]])
	}
	if depth > 6 || rapid.IntRange(0, 29).Draw(t, "odd") == 0 {
		return rapid.SampledFrom([]any{nil, true, -1, 1e300, "odd", []any{}, map[string]any{}, []any{[]any{nil}}, map[string]any{"": nil}}).Draw(t, "other")
	}
	if one, ok := s["oneOf"].([]any); ok {
		return r.value(t, rapid.SampledFrom(one).Draw(t, "one"), depth+1)
	}
	if list, ok := s["enum"].([]any); ok {
		return rapid.SampledFrom(list).Draw(t, "enum")
	}
	switch s["type"] {
	case "object":
		object := map[string]any{}
		properties := mapOf(s["properties"])
		required, _ := s["required"].([]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if slices.Contains(required, any(name)) || rapid.IntRange(0, 3).Draw(t, name) == 0 {
				object[name] = r.value(t, properties[name], depth+1)
			}
		}
		if more, ok := s["additionalProperties"].(map[string]any); ok && rapid.Bool().Draw(t, "more") {
			object[r.word(t)] = r.value(t, more, depth+1)
		}
		return object
	case "array":
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			list = append(list, r.value(t, s["items"], depth+1))
		}
		return list
	case "integer":
		return rapid.SampledFrom([]any{0, 1, 2, -1, 10, 1 << 31, 1 << 53, 1.5}).Draw(t, "integer")
	case "number":
		return rapid.Float64Range(-1e9, 1e9).Draw(t, "number")
	case "boolean":
		return rapid.Bool().Draw(t, "boolean")
	}
	return r.word(t)
}

// request makes one request.
func (r *requests) request(t *rapid.T, base string) *http.Request {
	o := rapid.SampledFrom(r.operations).Draw(t, "operation")
	method, path, query, header := o.method, o.path, url.Values{}, http.Header{}
	if rapid.IntRange(0, 39).Draw(t, "method") == 0 {
		method = rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"}).Draw(t, "other method")
	}
	for _, p := range o.parameters {
		name, _ := mapOf(p)["name"].(string)
		switch mapOf(p)["in"] {
		case "path":
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(r.word(t)))
		case "query":
			for rapid.IntRange(0, 3).Draw(t, name) == 0 {
				v := r.value(t, mapOf(p)["schema"], 3)
				query.Add(name, fmt.Sprint(v))
			}
		case "header":
			if rapid.IntRange(0, 9).Draw(t, name) == 0 {
				header.Set(name, strings.Map(printable, r.word(t)))
			}
		}
	}
	var body []byte
	if types := slices.Sorted(maps.Keys(o.content)); len(types) > 0 {
		contentType := rapid.SampledFrom(types).Draw(t, "content type")
		value := r.value(t, mapOf(o.content[contentType])["schema"], 0)
		body, _ = json.Marshal(value)
		switch rapid.IntRange(0, 9).Draw(t, "body") {
		case 0:
			body = body[:rapid.IntRange(0, len(body)).Draw(t, "cut")]
		case 1:
			body = rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "bytes")
		case 2:
			contentType = rapid.SampledFrom([]string{"", "text/plain", "application/xml", "*/*", "a/b; c", "multipart/form-data; boundary=x", "application/json; charset=latin1"}).Draw(t, "type")
		}
		header.Set("Content-Type", contentType)
	}
	address := base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(context.Background(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Skip(err)
	}
	req.Header = header
	return req
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return -1
	}
	return c
}

// TestRandomRequests makes requests at random: no answer is a fault of the server, each is what the document says, and nothing is left
// behind.
func TestRandomRequests(t *testing.T) {
	cfg := hasty()
	cfg.Limits.MaxWait = 100 // nanoseconds
	s := start(t, setup{plugins: []string{"upper=upper-wat", "agent"}, api: cfg, tasks: manager.Config{MaxFinished: 500, MaxQueue: 500}})
	ids := []string{"none"}
	for n := range 5 {
		ids = append(ids, want[manager.Task](t, s.do("POST", fmt.Sprintf("/v1/tasks?step=upper&delay=%dh", n/3), "x"), http.StatusCreated).ID)
	}
	ids = append(ids, want[manager.Batch](t, s.do("POST", "/v1/batches", `{"tasks":[{"steps":["upper"],"content":"x"}]}`, "Content-Type", "application/json"), http.StatusCreated).ID)
	after := calm(t, s)
	runtime.GC()
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	made := newRequests(t, s.api.Document(), ids)
	statuses := map[int]int{}
	check := func(rt *rapid.T) {
		for range 15 {
			req := made.request(rt, s.server.URL)
			ctx, cancel := context.WithCancel(req.Context())
			res, err := s.client.Do(req.WithContext(ctx))
			if err != nil {
				cancel()
				rt.Fatalf("%s %s: %v", req.Method, req.URL, err)
			}
			if res.Header.Get("Content-Type") == "text/event-stream" {
				cancel()
			}
			data, err := io.ReadAll(res.Body)
			res.Body.Close()
			cancel()
			if err != nil && res.Header.Get("Content-Type") != "text/event-stream" {
				rt.Fatalf("%s %s: %v", req.Method, req.URL, err)
			}
			statuses[res.StatusCode]++
			if res.StatusCode >= 500 && (res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "") {
				rt.Fatalf("%s %s: %d %s", req.Method, req.URL, res.StatusCode, data)
			}
			if strings.Contains(string(data), "a fault of the server") {
				rt.Fatalf("%s %s: %s", req.Method, req.URL, data)
			}
		}
	}
	for range 5 { // few of the requests make something
		if rapid.Check(t, check); statuses[201] > 0 {
			break
		}
	}
	if statuses[200] == 0 || statuses[201] == 0 || statuses[400] == 0 || statuses[404] == 0 {
		t.Errorf("the requests are too much the same: %v", statuses)
	}
	t.Logf("answers: %v", statuses)
	want[httpapi.BulkResult](t, s.do("POST", "/v1/tasks/cancel", `{"filter":{}}`), http.StatusOK)
	waitFor(t, "tasks to end", func() bool {
		st := want[httpapi.ServerStats](t, s.do("GET", "/v1/stats", nil), http.StatusOK)
		return st.Tasks.Counts.Pending+st.Tasks.Counts.Running == 0
	})
	after()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&behind)
	if grown := int64(behind.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
}
