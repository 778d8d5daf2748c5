package ui_test

import (
	"fmt"
	"testing"

	"github.com/taskhost/taskhost/manager"
)

// TestScreenshots puts pictures of every page into build/screenshots, in the light, in the dark and as on a phone. It checks that they can
// be taken; what they show is for eyes.
func TestScreenshots(t *testing.T) {
	s := server(t)
	demoOnce(t)
	find := func(name string, status manager.Status) string {
		t.Helper()
		page, err := s.tasks.List(t.Context(), manager.Filter{Name: name, Status: []manager.Status{status}})
		if err != nil || len(page.Tasks) == 0 {
			t.Fatalf("there is no task %s that is %s (%v)", name, status, err)
		}
		return "/tasks/" + page.Tasks[0].ID
	}
	running := s.submit(t, slow("transcode", 400, 50))
	defer s.stop(t, running.ID)
	b := open(t, s)
	for _, p := range []struct{ name, path string }{
		{"overview", "/"}, {"tasks", "/tasks"}, {"task", find("publish-notes", manager.StatusCompleted)}, {"task-running", "/tasks/" + running.ID},
		{"task-failed", find("publish-notes", manager.StatusFailed)}, {"plugins", "/plugins"}, {"plugin", "/plugins/agent"},
		{"queues", "/queues"}, {"schedules", "/schedules"}, {"login", "/login"},
	} {
		b.visit(p.path)
		b.wait(`document.readyState === "complete"`)
		b.shot(p.name)
		b.prefer("dark")
		b.shot(p.name + "-dark")
		b.prefer("light")
		b.size(360, 740)
		b.shot(p.name + "-phone")
		if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > 360 {
			t.Error(fmt.Errorf("%s: %d pixels wide on a phone of 360", p.path, wide))
		}
		b.size(1280, 800)
	}
}
