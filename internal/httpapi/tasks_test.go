package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func TestTaskFromSubmitToDelete(t *testing.T) {
	both(t, func(t *testing.T, durable bool) {
		s := start(t, setup{plugins: []string{"upper=upper-wat"}, durable: durable})
		r := s.do("POST", "/v1/tasks", `{"steps":["upper"],"content":"hello","labels":{"a":"b"}}`, "Content-Type", "application/json")
		task := want[manager.Task](t, r, http.StatusCreated)
		if loc := r.header.Get("Location"); loc != "/v1/tasks/"+task.ID || task.InputBytes != 5 || task.Spec.Input != nil {
			t.Fatalf("%s: %s", loc, r.body)
		}
		path := "/v1/tasks/" + task.ID
		if r := s.do("GET", path+"/result?wait=30s", nil); r.status != http.StatusOK || string(r.body) != "HELLO" {
			t.Fatalf("%d %s", r.status, r.body)
		}
		task = want[manager.Task](t, s.do("GET", path+"?include=output,input", nil), http.StatusOK)
		if task.Status != manager.StatusCompleted || string(task.Output) != "HELLO" || string(task.Spec.Input) != "hello" {
			t.Fatalf("%+v", task)
		}
		if task = want[manager.Task](t, s.do("GET", path, nil), http.StatusOK); task.Output != nil || task.OutputBytes != 5 {
			t.Fatalf("%+v", task)
		}
		r = s.do("GET", path+"/output", nil, "Range", "bytes=1-2")
		if r.status != http.StatusPartialContent || string(r.body) != "EL" || r.header.Get("Content-Security-Policy") == "" {
			t.Fatalf("%d %s %v", r.status, r.body, r.header)
		}
		wantProblem(t, s.do("GET", path+"/output", nil, "Range", "bytes=90-"), http.StatusRequestedRangeNotSatisfiable, abi.CodeInvalid)
		wantProblem(t, s.do("POST", path+"/cancel", nil), http.StatusConflict, abi.CodeConflict)
		wantProblem(t, s.do("POST", path+"/retry", nil), http.StatusConflict, abi.CodeConflict)
		page := want[manager.Page](t, s.do("GET", "/v1/tasks?status=completed&label=a=b&plugin=upper", nil), http.StatusOK)
		if len(page.Tasks) != 1 || page.Tasks[0].ID != task.ID {
			t.Fatalf("%+v", page)
		}
		if r := s.do("DELETE", path, nil); r.status != http.StatusNoContent {
			t.Fatalf("%d %s", r.status, r.body)
		}
		wantProblem(t, s.do("GET", path, nil), http.StatusNotFound, abi.CodeNotFound)
	})
}

func TestRawInput(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}})
	r := s.do("POST", "/v1/tasks?step=upper&step=upper&name=raw&label=x=y&priority=3&timeout=1m&wait=30s&include=output", "<b>hi</b>", "Content-Type", "text/html")
	task := want[manager.Task](t, r, http.StatusCreated)
	if string(task.Output) != "<B>HI</B>" || task.Spec.Labels["content_type"] != "text/html" || task.Spec.Labels["x"] != "y" || task.Spec.Priority != 3 ||
		task.TotalSteps != 2 || task.Spec.Name != "raw" {
		t.Fatalf("%s", r.body)
	}
	for _, part := range []string{"input", "output"} {
		r = s.do("GET", "/v1/tasks/"+task.ID+"/"+part, nil)
		if ct := r.header.Get("Content-Type"); ct != "text/plain; charset=utf-8" || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is served as %s", part, ct)
		}
	}
	for query, says := range map[string]string{
		"": "step", "?step=upper&priority=x": "priority", "?step=upper&delay=x": "delay", "?step=upper&laebl=x": "laebl", "?step=upper&label=x": "label",
		"?step=upper&wait=1h": "wait", "?step=upper&run_at=x": "run_at", "?step=upper&delay=1s&run_at=2030-01-01T00:00:00Z": "both",
	} {
		p := wantProblem(t, s.do("POST", "/v1/tasks"+query, "x"), http.StatusBadRequest, abi.CodeInvalid)
		if !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %s", query, p.Detail)
		}
	}
}

func TestTraceOfTheRequest(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}})
	const given, other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for header, want := range map[string]string{given: given, "nonsense": ""} {
		r := s.do("POST", "/v1/tasks", `{"steps":["upper"],"content":"x"}`, "Content-Type", "application/json", "Traceparent", header)
		if !strings.Contains(string(r.body), `"traceparent":"`+want+`"`) != (want == "") || r.status != http.StatusCreated {
			t.Errorf("%s: %s", header, r.body)
		}
	}
	r := s.do("POST", "/v1/batches", `{"tasks":[{"steps":["upper"],"content":"x","traceparent":"`+other+`"}]}`, "Content-Type", "application/json", "Traceparent", given)
	if !strings.Contains(string(r.body), other) {
		t.Errorf("%s", r.body)
	}
}

func TestIdempotencyKey(t *testing.T) {
	both(t, func(t *testing.T, durable bool) {
		s := start(t, setup{plugins: []string{"upper=upper-wat"}, durable: durable})
		spec := `{"steps":["upper"],"content":"once"}`
		submit := func(spec string, more ...string) reply {
			return s.do("POST", "/v1/tasks", spec, append([]string{"Content-Type", "application/json", "Idempotency-Key", "k1"}, more...)...)
		}
		first := want[manager.Task](t, submit(spec), http.StatusCreated)
		s.do("GET", "/v1/tasks/"+first.ID+"?wait=30s", nil)
		r := submit(spec)
		if again := want[manager.Task](t, r, http.StatusOK); again.ID != first.ID || r.header.Get("Idempotent-Replayed") != "true" {
			t.Fatalf("%v %s", r.header, r.body)
		}
		wantProblem(t, submit(`{"steps":["upper"],"content":"other"}`), http.StatusConflict, abi.CodeConflict)
		if other := want[manager.Task](t, submit(spec, "X-Principal", "other"), http.StatusCreated); other.ID == first.ID {
			t.Fatal("another principal got the task")
		}
		batch := func(spec string) reply {
			return s.do("POST", "/v1/batches", spec, "Content-Type", "application/x-ndjson", "Idempotency-Key", "k2")
		}
		b := want[manager.Batch](t, batch(spec+"\n"+spec), http.StatusCreated)
		if again := want[manager.Batch](t, batch(spec+"\n"+spec), http.StatusOK); again.ID != b.ID || len(again.Tasks) != 2 || again.Tasks[0].ID != b.Tasks[0].ID {
			t.Fatalf("%+v", again)
		}
		wantProblem(t, batch(spec), http.StatusConflict, abi.CodeConflict)
	})
}

func TestListPages(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}})
	specs := make([]manager.Spec, 25)
	for i := range specs {
		specs[i] = manager.ProcessorTask(fmt.Sprint(i), "upper")
	}
	b := want[manager.Batch](t, s.do("POST", "/v1/batches", map[string]any{"tasks": specs}), http.StatusCreated)
	seen := map[string]bool{}
	for next := "/v1/tasks?limit=10&label=batch_id=" + b.ID; next != ""; {
		r := s.do("GET", next, nil)
		for _, task := range want[manager.Page](t, r, http.StatusOK).Tasks {
			seen[task.ID] = true
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(r.header.Get("Link"), "<"), ">")
	}
	if len(seen) != len(specs) {
		t.Errorf("%d tasks in the pages", len(seen))
	}
	wantProblem(t, s.do("GET", "/v1/tasks?limit=5000", nil), http.StatusBadRequest, abi.CodeInvalid)
	wantProblem(t, s.do("GET", "/v1/tasks?statsu=failed", nil), http.StatusBadRequest, abi.CodeInvalid)
	wantProblem(t, s.do("GET", "/v1/tasks?status=lost", nil), http.StatusBadRequest, abi.CodeInvalid)
	wantProblem(t, s.do("GET", "/v1/tasks?after=yesterday", nil), http.StatusBadRequest, abi.CodeInvalid)
}

func TestFailuresAreAnswers(t *testing.T) {
	s := start(t, setup{plugins: []string{"spin=hostile/spin", "agent"}})
	task := want[manager.Task](t, s.do("POST", "/v1/tasks", `{"steps":["spin:spin"],"content":"","timeout":"50ms"}`, "Content-Type", "application/json"), 201)
	p := wantProblem(t, s.do("GET", "/v1/tasks/"+task.ID+"/result?wait=30s", nil), http.StatusUnprocessableEntity, abi.CodeTimeout)
	if p.Plugin != "spin" || p.Function != "spin" || p.Task != task.ID {
		t.Errorf("%+v", p)
	}
	wantProblem(t, s.do("GET", "/v1/tasks/"+task.ID+"/output", nil), http.StatusNotFound, abi.CodeNotFound)
	task = want[manager.Task](t, s.do("POST", "/v1/tasks", `{"steps":["spin:spin"],"content":""}`, "Content-Type", "application/json"), 201)
	if r := s.do("GET", "/v1/tasks/"+task.ID+"/result?wait=10ms", nil); r.status != http.StatusAccepted || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	want[manager.Task](t, s.do("POST", "/v1/tasks/"+task.ID+"/cancel", nil), http.StatusOK)
	wantProblem(t, s.do("GET", "/v1/tasks/"+task.ID+"/result?wait=30s", nil), http.StatusUnprocessableEntity, abi.CodeCancelled)
	if again := want[manager.Task](t, s.do("POST", "/v1/tasks/"+task.ID+"/retry", `{"anew":true}`), http.StatusOK); again.Status != manager.StatusPending {
		t.Errorf("%+v", again)
	}
	want[manager.Task](t, s.do("POST", "/v1/tasks/"+task.ID+"/cancel", nil), http.StatusOK)
	for body, says := range map[string]string{`{"steps":["upper"],"content":"x","laebls":{}}`: "laebls", `{`: "unexpected", "{\"content\":\"\xff\"}": "UTF-8"} {
		p := wantProblem(t, s.do("POST", "/v1/tasks", body, "Content-Type", "application/json"), http.StatusBadRequest, abi.CodeInvalid)
		if !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
}

// TestAnswersAfterAWait waits for longer than the server gives to an answer.
func TestAnswersAfterAWait(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}, api: hasty(), write: 100 * time.Millisecond})
	s.do("POST", "/v1/queues/q/pause", nil)
	batch := want[manager.Batch](t, s.do("POST", "/v1/batches", map[string]any{"tasks": []any{
		map[string]any{"steps": []string{"upper"}, "queue": "q", "content": "x"},
	}}), http.StatusCreated)
	path := "/v1/tasks/" + batch.Tasks[0].ID
	var all sync.WaitGroup
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/v1/tasks?step=upper&queue=q&wait=300ms", 201},
		{"POST", "/v1/tasks?step=upper&queue=q&wait=300ms&include=none", 400},
		{"GET", path + "?wait=300ms", 200},
		{"HEAD", path + "?wait=300ms", 200},
		{"GET", path + "/result?wait=300ms", 202},
		{"HEAD", path + "/result?wait=300ms", 202},
		{"GET", "/v1/batches/" + batch.ID + "?wait=300ms", 200},
	} {
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), c.method, s.server.URL+c.path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			res, err := s.client.Do(req)
			if err != nil {
				t.Errorf("%s %s: %v", c.method, c.path, err)
				return
			}
			defer res.Body.Close()
			if data, err := io.ReadAll(res.Body); err != nil || res.StatusCode != c.status {
				t.Errorf("%s %s: %d %s %v", c.method, c.path, res.StatusCode, data, err)
			}
		})
	}
	all.Wait()
}
