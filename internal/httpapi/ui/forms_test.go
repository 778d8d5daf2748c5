package ui_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/httpapi/ui"
	"github.com/taskhost/taskhost/manager"
)

// post sends a form and wants to be led on; it returns where to.
func (s *system) post(t testing.TB, path string, form url.Values) string {
	t.Helper()
	r := s.request(t, http.MethodPost, path, form)
	if r.status != http.StatusSeeOther {
		t.Fatalf("POST %s: status %d\n%s", path, r.status, r.body)
	}
	return r.header.Get("Location")
}

// confirm sends a form, and the one that asks whether it is meant.
func (s *system) confirm(t testing.TB, path string, form url.Values) string {
	t.Helper()
	r := s.request(t, http.MethodPost, path, form)
	if r.status != http.StatusOK {
		t.Fatalf("POST %s: status %d\n%s", path, r.status, r.body)
	}
	d := parse(t, path, r.body)
	d.wellFormed()
	again := url.Values{}
	for _, n := range d.all("input") {
		if attr(n, "name") != "" {
			again.Add(attr(n, "name"), attr(n, "value"))
		}
	}
	return s.post(t, path, again)
}

func (s *system) look(t testing.TB, id string) manager.Task {
	t.Helper()
	task, err := s.tasks.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func TestFormsOfATask(t *testing.T) {
	s := server(t)
	task := s.submit(t, slow("form", 2000, 10))
	path := "/tasks/" + task.ID
	if to := s.post(t, path+"/cancel", nil); to != path+"?done=cancel" {
		t.Errorf("cancel leads to %s", to)
	}
	if got := s.ended(t, task.ID); got.Status != manager.StatusCancelled {
		t.Errorf("cancelled: %s", got.Status)
	}
	s.post(t, path+"/retry", url.Values{"anew": {"1"}})
	if got := s.look(t, task.ID); got.Status.Final() {
		t.Errorf("put back: %s", got.Status)
	}
	s.stop(t, task.ID)
	to := s.confirm(t, path+"/delete", url.Values{"back": {path}})
	if r := s.request(t, http.MethodGet, path, nil); to != "/tasks?done=delete" || r.status != http.StatusNotFound {
		t.Errorf("deleted: led to %s, then status %d", to, r.status)
	}
	if !strings.Contains(s.request(t, http.MethodGet, to, nil).body, "The task is deleted.") {
		t.Error("nothing says that the task was deleted")
	}
	if r := s.request(t, http.MethodPost, path+"/cancel", url.Values{}); r.status != http.StatusNotFound {
		t.Errorf("cancel of a task that is gone: %d", r.status)
	}
}

func TestFormOfManyTasks(t *testing.T) {
	s := server(t)
	label := map[string]string{"bulk": "yes"}
	var ids []string
	for range 4 {
		spec := slow("bulk", 2000, 10)
		spec.Labels = label
		ids = append(ids, s.submit(t, spec).ID)
	}
	const back = "/tasks?label=bulk%3Dyes"
	if to := s.post(t, "/tasks", url.Values{"do": {"cancel"}, "id": ids[:2], "back": {back}}); !strings.Contains(to, "n=2") || !strings.HasPrefix(to, "/tasks?") {
		t.Errorf("two are cancelled: led to %s", to)
	}
	s.ended(t, ids[0])
	s.ended(t, ids[1])
	if got := s.look(t, ids[2]); got.Status.Final() {
		t.Errorf("one that was not selected: %s", got.Status)
	}
	s.confirm(t, "/tasks", url.Values{"do": {"cancel"}, "all": {"1"}, "back": {back}})
	for _, id := range ids {
		s.ended(t, id)
	}
	to := s.confirm(t, "/tasks", url.Values{"do": {"delete"}, "all": {"1"}, "back": {back}})
	if page, err := s.tasks.List(t.Context(), manager.Filter{Labels: label}); err != nil || len(page.Tasks) != 0 {
		t.Errorf("all are deleted: %d are left, %v", len(page.Tasks), err)
	}
	if body := s.request(t, http.MethodGet, to, nil).body; !strings.Contains(body, "Deleted: 4 tasks.") {
		t.Errorf("%s does not say what was done", to)
	}
	if r := s.request(t, http.MethodPost, "/tasks", url.Values{"do": {"cancel"}}); r.status != http.StatusBadRequest {
		t.Errorf("nothing selected: status %d", r.status)
	}
}

func TestListIsNarrowedAndPaged(t *testing.T) {
	s := server(t)
	var last manager.Task
	name := unique("page")
	for range 120 {
		spec := manager.ProcessorTask("x", "text")
		spec.Name, spec.Queue = name, "pages"
		last = s.submit(t, spec)
	}
	until(t, "the tasks have ended", func() bool {
		page, err := s.tasks.List(t.Context(), manager.Filter{Name: name, Status: []manager.Status{manager.StatusCompleted}, Limit: 1000})
		return err == nil && len(page.Tasks) == 120
	})
	path, rows := "/tasks?status=completed&plugin=text&queue=pages&name="+name, 0
	for pages := 1; path != ""; pages++ {
		d := s.page(t, path)
		path = ""
		for _, n := range d.all("tr") {
			if has(n, "data-task") {
				rows++
			}
		}
		for _, n := range d.all("a") {
			if attr(n, "rel") == "next" {
				path = attr(n, "href")
			}
		}
		if pages > 3 {
			t.Fatal("the pages do not end")
		}
	}
	if rows != 120 {
		t.Errorf("%d rows on all pages, want 120", rows)
	}
	if r := s.request(t, http.MethodGet, "/tasks?id="+last.ID, nil); r.header.Get("Location") != "/tasks/"+last.ID {
		t.Errorf("an id leads to %q", r.header.Get("Location"))
	}
	if r := s.request(t, http.MethodGet, "/tasks?id=01a21027-0000-7000-8000-000000000000", nil); r.status != http.StatusNotFound {
		t.Errorf("an id of no task: status %d", r.status)
	}
	part := s.request(t, http.MethodGet, "/tasks?queue=none&name=", nil, "HX-Request", "true", "HX-Trigger", "filter")
	if strings.Contains(part.body, "<html") || !strings.Contains(part.body, "No task matches") || part.header.Get("HX-Push-Url") != "/tasks?queue=none" {
		t.Errorf("the part: %v\n%s", part.header, part.body)
	}
}

func TestFormsOfQueuesAndSchedules(t *testing.T) {
	s := server(t)
	s.post(t, "/queues", url.Values{"do": {"limit"}, "queue": {"forms"}, "concurrency": {"3"}, "rate": {"20"}, "per": {"1m"}, "paused": {"1"}})
	s.post(t, "/queues", url.Values{"do": {"resume"}, "queue": {"forms"}})
	queues, err := s.tasks.Queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := manager.Limit{Queue: "forms", Concurrency: 3, Rate: manager.Rate{Tasks: 20, Per: time.Minute}}
	found := false
	for _, q := range queues {
		found = found || q.Limit == want
	}
	if !found {
		t.Errorf("the limits: %+v", queues)
	}
	for _, bad := range []url.Values{{"concurrency": {"many"}}, {"concurrency": {"-1"}}, {"rate": {"1"}, "per": {"soon"}}} {
		bad.Set("do", "limit")
		bad.Set("queue", "forms")
		if r := s.request(t, http.MethodPost, "/queues", bad); r.status != http.StatusBadRequest {
			t.Errorf("%v: status %d", bad, r.status)
		}
	}
	s.post(t, "/schedules", url.Values{"name": {"forms"}, "cron": {"@every 1h"}, "missed": {"once"}, "spec": {`{"steps": ["text"], "content": "hi"}`}})
	s.post(t, "/schedules/forms/pause", nil)
	if got, err := s.tasks.Schedule(t.Context(), "forms"); err != nil || !got.Paused || got.Missed != manager.MissedOnce {
		t.Errorf("the schedule: %+v, %v", got, err)
	}
	to := s.post(t, "/schedules/forms/trigger", nil)
	if got := s.ended(t, strings.TrimPrefix(to, "/tasks/")); got.Spec.Labels[manager.LabelSchedule] != "forms" {
		t.Errorf("triggered: %s, %v", to, got.Spec.Labels)
	}
	if body := s.request(t, http.MethodGet, "/schedules?edit=forms", nil).body; !strings.Contains(body, "Change forms") {
		t.Error("the schedule cannot be changed")
	}
	s.confirm(t, "/schedules/forms/delete", nil)
	r := s.request(t, http.MethodPost, "/schedules", url.Values{"name": {"forms"}, "cron": {"never"}, "spec": {"{"}})
	if r.status != http.StatusBadRequest {
		t.Errorf("a broken spec: status %d", r.status)
	}
}

// send uploads files as the form of the page does in a browser without scripts: plugins that were built, or the file of a script.
func (s *system) send(t testing.TB, fields map[string]string, files ...string) reply {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range files {
		path := name
		if filepath.Ext(name) != ".js" {
			var err error
			if path, err = wasm(name); err != nil {
				t.Fatal(err)
			}
			name += ".wasm"
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := form.CreateFormFile("file", filepath.Base(name))
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return s.raw(t, http.MethodPost, "/plugins", &body, "Content-Type", form.FormDataContentType())
}

// scriptFile is the file of a script that makes text loud, and has drawn a number before.
func scriptFile(t testing.TB, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".js")
	if err := os.WriteFile(file, []byte("const drawn = Math.random();\nexport const process = (text) => text.toUpperCase() + '!';\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFormOfAnUpload(t *testing.T) {
	s := server(t)
	if r := s.send(t, map[string]string{"dry_run": "1"}, "upper-wat"); r.header.Get("Location") != "/plugins?done=checked" {
		t.Errorf("a dry run: %d %v\n%s", r.status, r.header, r.body)
	}
	if r := s.send(t, nil, "upper-wat"); r.header.Get("Location") != "/plugins/upper-wat?done=upload" {
		t.Errorf("with the name of the file: %d %v\n%s", r.status, r.header, r.body)
	}
	if r := s.send(t, nil, scriptFile(t, "sent")); r.header.Get("Location") != "/plugins/sent?done=upload" {
		t.Errorf("a script: %d %v\n%s", r.status, r.header, r.body)
	}
	s.confirm(t, "/plugins/sent/remove", url.Values{})
	for _, c := range []struct {
		status int
		name   string
		files  []string
	}{
		{http.StatusUnprocessableEntity, "upper-wat", []string{"not-wasm"}},
		{http.StatusBadRequest, "no name", []string{"upper-wat"}},
		{http.StatusBadRequest, "upper", nil},
	} {
		if r := s.send(t, map[string]string{"name": c.name}, c.files...); r.status != c.status {
			t.Errorf("%s %v: status %d, want %d\n%s", c.name, c.files, r.status, c.status, r.body)
		}
	}
	s.confirm(t, "/plugins/upper-wat/remove", url.Values{})
}

// unread fails a test that reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.ErrUnexpectedEOF
}

// TestUploadsOfOthersAreNotRead uploads with roles that may not.
func TestUploadsOfOthersAreNotRead(t *testing.T) {
	pages, err := ui.New(ui.Config{API: server(t).api})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []auth.Role{auth.RoleRead, auth.RoleSubmit, auth.RoleOperate} {
		r := httptest.NewRequestWithContext(auth.With(t.Context(), auth.Principal{ID: "x", Role: role}), http.MethodPost, "/plugins", unread{t})
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d", role, w.Code)
		}
	}
}

func TestFormsOfAPlugin(t *testing.T) {
	s := server(t)
	to := s.post(t, "/plugins/agent/try", url.Values{"function": {"echo"}, "kind": {"agent"}, "input": {`{"a": 1}`}})
	if got := s.ended(t, strings.TrimPrefix(to, "/tasks/")); string(got.Output) != `{"a":1}` && string(got.Output) != `{"a": 1}` {
		t.Errorf("tried: %s", got.Output)
	}
	if r := s.request(t, http.MethodPost, "/plugins/agent/try", url.Values{"kind": {"agent"}, "input": {`[`}}); r.status != http.StatusBadRequest {
		t.Errorf("no JSON: status %d", r.status)
	}
	s.post(t, "/plugins/bare/disable", nil)
	if body := s.request(t, http.MethodGet, "/plugins/bare", nil).body; !strings.Contains(body, ">Enable<") {
		t.Error("a disabled plugin cannot be enabled")
	}
	s.post(t, "/plugins/bare/enable", nil)
	s.post(t, "/plugins/bare/limit", url.Values{"concurrency": {"2"}})
	if p, err := s.client.Plugin(t.Context(), "bare"); err != nil || p.Disabled || p.Limit.Concurrency != 2 {
		t.Errorf("the plugin: %+v, %v", p.Limit, err)
	}
	if p, err := s.client.Plugin(t.Context(), "agent"); err != nil || p.Usage.Calls == 0 || p.Usage.Ticks == 0 || p.Usage.PeakMemory == 0 {
		t.Errorf("what its calls cost: %+v, %v", p.Usage, err)
	}
	if r := s.request(t, http.MethodPost, "/plugins/none/disable", url.Values{}); r.status != http.StatusNotFound {
		t.Errorf("no such plugin: status %d", r.status)
	}
}
