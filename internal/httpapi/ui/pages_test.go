package ui_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/taskhost/taskhost/manager"
)

// get reads a page.
func (s *system) get(t testing.TB, path string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func TestTmp(t *testing.T) {
	s := server(t)
	demo(t, s)
	time.Sleep(11 * time.Second)
	page, _ := s.tasks.List(t.Context(), manager.Filter{Status: []manager.Status{"running"}})
	run := page.Tasks[0].ID
	page, _ = s.tasks.List(t.Context(), manager.Filter{Name: "publish-notes", Status: []manager.Status{"completed"}})
	done := page.Tasks[0].ID
	page, _ = s.tasks.List(t.Context(), manager.Filter{Name: "publish-notes", Status: []manager.Status{"failed"}})
	failed := page.Tasks[0].ID
	b := open(t, s)
	for _, p := range [][2]string{{"overview", "/"}, {"tasks", "/tasks"}, {"running", "/tasks/" + run}, {"done", "/tasks/" + done}, {"failed", "/tasks/" + failed}, {"plugins", "/plugins"}, {"plugin", "/plugins/agent"}, {"queues", "/queues"}, {"schedules", "/schedules"}, {"login", "/login"}} {
		b.size(1280, 800)
		b.visit(p[1])
		time.Sleep(500 * time.Millisecond)
		t.Log(b.shot(p[0]))
		b.size(360, 740)
		time.Sleep(300 * time.Millisecond)
		t.Log(b.shot(p[0] + "-360"))
	}
	b.size(1280, 800)
	b.dark()
	for _, p := range [][2]string{{"overview", "/"}, {"tasks", "/tasks"}, {"failed", "/tasks/" + failed}, {"plugin", "/plugins/agent"}} {
		b.visit(p[1])
		time.Sleep(500 * time.Millisecond)
		t.Log(b.shot(p[0] + "-dark"))
	}
}
