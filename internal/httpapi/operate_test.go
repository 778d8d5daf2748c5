package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/httpapi"
	"github.com/taskhost/taskhost/manager"
)

func TestQueuesAndSchedules(t *testing.T) {
	both(t, func(t *testing.T, durable bool) {
		s := start(t, setup{plugins: []string{"upper=upper-wat"}, durable: durable})
		q := want[manager.QueueStatus](t, s.do("PUT", "/v1/queues/mail", map[string]any{"concurrency": 2, "rate": map[string]any{"tasks": 5, "per_ns": 1e9}}), http.StatusOK)
		if q.Queue != "mail" || q.Concurrency != 2 || q.Rate.Tasks != 5 {
			t.Errorf("%+v", q)
		}
		if q = want[manager.QueueStatus](t, s.do("POST", "/v1/queues/mail/pause", nil), http.StatusOK); !q.Paused || q.Concurrency != 2 {
			t.Errorf("%+v", q)
		}
		list := want[struct{ Queues []manager.QueueStatus }](t, s.do("GET", "/v1/queues", nil), http.StatusOK)
		if len(list.Queues) != 1 {
			t.Errorf("%+v", list)
		}
		wantProblem(t, s.do("PUT", "/v1/queues/mail", `{"concurency":1}`), http.StatusBadRequest, abi.CodeInvalid)
		wantProblem(t, s.do("POST", "/v1/queues/a%20b/pause", nil), http.StatusBadRequest, abi.CodeInvalid)

		path := "/v1/schedules/nightly"
		sch := want[manager.Schedule](t, s.do("PUT", path, `{"cron":"0 3 * * *","spec":{"steps":["upper"],"content":"x"}}`), http.StatusOK)
		if sch.Name != "nightly" || sch.NextAt.IsZero() {
			t.Errorf("%+v", sch)
		}
		if sch = want[manager.Schedule](t, s.do("POST", path+"/pause", nil), http.StatusOK); !sch.Paused {
			t.Errorf("%+v", sch)
		}
		task := want[manager.Task](t, s.do("POST", path+"/trigger", nil), http.StatusCreated)
		if task.Spec.Labels[manager.LabelSchedule] != "nightly" {
			t.Errorf("%+v", task)
		}
		wantProblem(t, s.do("PUT", path, `{"cron":"0 3 * * *","spec":{},"crn":1}`), http.StatusBadRequest, abi.CodeInvalid)
		wantProblem(t, s.do("PUT", path, `{"cron":"0 3 * *","spec":{"steps":["upper"],"content":"x"}}`), http.StatusBadRequest, abi.CodeInvalid)
		if r := s.do("DELETE", path, nil); r.status != http.StatusNoContent {
			t.Errorf("%d %s", r.status, r.body)
		}
		wantProblem(t, s.do("GET", path, nil), http.StatusNotFound, abi.CodeNotFound)
	})
}

func TestPluginIsDisabled(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat", "agent"}})
	p := want[httpapi.Plugin](t, s.do("POST", "/v1/plugins/upper/disable", nil), http.StatusOK)
	if !p.Disabled || p.Name != "upper" || p.State != abi.StateReady {
		t.Errorf("%+v", p)
	}
	task := want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper", "x"), http.StatusCreated)
	list := want[struct{ Plugins []httpapi.Plugin }](t, s.do("GET", "/v1/plugins", nil), http.StatusOK)
	if len(list.Plugins) != 2 || list.Plugins[0].Disabled || !list.Plugins[1].Disabled {
		t.Errorf("%+v", list)
	}
	if task = want[manager.Task](t, s.do("GET", "/v1/tasks/"+task.ID, nil), http.StatusOK); task.Status != manager.StatusPending {
		t.Errorf("%+v", task)
	}
	if p = want[httpapi.Plugin](t, s.do("POST", "/v1/plugins/upper/enable", nil), http.StatusOK); p.Disabled {
		t.Errorf("%+v", p)
	}
	if r := s.do("GET", "/v1/tasks/"+task.ID+"/result?wait=30s", nil); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	wantProblem(t, s.do("POST", "/v1/plugins/none/disable", nil), http.StatusNotFound, abi.CodeNotFound)
	wantProblem(t, s.do("POST", "/v1/plugins/upper/rollback", nil), http.StatusConflict, abi.CodeConflict)
	st := want[httpapi.ServerStats](t, s.do("GET", "/v1/stats", nil), http.StatusOK)
	if st.Plugins != 2 || st.Tasks.Counts.Completed != 1 || st.Principal.ID != "test" || st.MemoryBytes == 0 {
		t.Errorf("%+v", st)
	}
}

func TestBulk(t *testing.T) {
	s := start(t, setup{plugins: []string{"upper=upper-wat"}})
	s.do("POST", "/v1/queues/q/pause", nil)
	var ids []string
	for range 6 {
		ids = append(ids, want[manager.Task](t, s.do("POST", "/v1/tasks?step=upper&queue=q", "x"), http.StatusCreated).ID)
	}
	out := want[httpapi.BulkResult](t, s.do("POST", "/v1/tasks/cancel", map[string]any{"ids": []string{ids[0], "none"}}), http.StatusOK)
	if out.Count != 1 || len(out.Errors) != 1 || out.Errors[0].ID != "none" || out.Errors[0].Error.Code != abi.CodeNotFound {
		t.Errorf("%+v", out)
	}
	out = want[httpapi.BulkResult](t, s.do("POST", "/v1/tasks/cancel", `{"filter":{"queue":"q"}}`, "X-Role", "operate"), http.StatusOK)
	if out.Count != 5 {
		t.Errorf("%+v", out)
	}
	out = want[httpapi.BulkResult](t, s.do("POST", "/v1/tasks/retry", map[string]any{"ids": ids[:2], "anew": true}), http.StatusOK)
	if out.Count != 2 || len(out.Errors) != 0 {
		t.Errorf("%+v", out)
	}
	out = want[httpapi.BulkResult](t, s.do("POST", "/v1/tasks/delete", `{"filter":{}}`), http.StatusOK)
	if out.Count != 4 {
		t.Errorf("%+v", out)
	}
	if out = want[httpapi.BulkResult](t, s.do("POST", "/v1/tasks/delete", `{"filter":{"status":["running","pending"]}}`), http.StatusOK); out.Count != 0 {
		t.Errorf("of tasks that have not ended: %+v", out)
	}
	wantProblem(t, s.do("POST", "/v1/tasks/delete", `{"filter":{"status":["ended"]}}`), http.StatusBadRequest, abi.CodeInvalid)
	wantProblem(t, s.do("POST", "/v1/tasks/delete", `{}`), http.StatusBadRequest, abi.CodeInvalid)
	wantProblem(t, s.do("POST", "/v1/tasks/delete", `{"filter":{}}`, "X-Role", "submit"), http.StatusForbidden, abi.CodeDenied)
}
