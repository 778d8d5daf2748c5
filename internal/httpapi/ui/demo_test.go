package ui_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/manager"
)

const article = `# Release notes

The queue now keeps **its order** over a restart, and a task that waits for another one starts as soon as that has ended.

## What changed

- A plugin is replaced without a pause: what runs goes on with the version that it began with.
- Limits of queues take effect at once.
- A failed step is tried again from the output of the step before.

| what | before | now |
|---|---|---|
| start of a call | 3.5 ms | 12 µs |
| cancel of a loop | never | 0.1 ms |
`

var demoDone bool

// demoOnce fills the shared server, once.
func demoOnce(t testing.TB) {
	t.Helper()
	if !demoDone {
		demoDone = true
		demo(t, server(t))
	}
}

// demo fills a server with what a team might run.
func demo(t testing.TB, s *system) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	customers := []string{"acme", "globex", "initech", "umbrella"}
	var wait []string
	add := func(spec manager.Spec, name, queue string) manager.Task {
		spec.Name, spec.Queue = name, queue
		spec.Labels = map[string]string{"customer": customers[random.IntN(len(customers))]}
		task := s.submit(t, spec)
		wait = append(wait, task.ID)
		return task
	}
	for i := range 60 {
		switch i % 6 {
		case 0, 1:
			add(manager.ProcessorTask(strings.Repeat(article, 1+random.IntN(9)), "text", "markdown:process"), "publish-notes", "publish")
		case 2:
			add(manager.AgentTask("agent", "summarize", map[string]any{"text": strings.Repeat(article, 3), "sentences": 2}), "summarize", "default")
		case 3:
			add(manager.AgentTask("agent", "echo", map[string]any{"order": 4000 + i, "paid": i%4 == 0}), "order-event", "orders")
		case 4:
			add(manager.ProcessorTask(article, "markdown:text", "text"), "mail-digest", "mail")
		case 5:
			add(manager.AgentTask("agent", "count", map[string]any{"steps": 3, "delay_ms": 5 + random.IntN(20)}), "poll-feed", "default")
		}
	}
	bad := []manager.Spec{
		manager.AgentTask("agent", "fetch", map[string]any{"url": "https://prices.example.com/today"}),
		manager.AgentTask("agent", "summarize", map[string]any{"sentences": 2}),
		manager.ProcessorTask("x", "text", "markdown:proces"),
	}
	names := []string{"fetch-prices", "summarize", "publish-notes"}
	for i, spec := range bad {
		add(spec, names[i], "default")
	}
	late := manager.AgentTask("agent", "count", map[string]any{"steps": 500, "delay_ms": 50})
	late.Timeout, late.Retry = 120*time.Millisecond, manager.Retry{MaxAttempts: 1}
	add(late, "nightly-index", "reports")
	for _, id := range wait {
		s.ended(t, id)
	}
	gone := add(manager.AgentTask("agent", "count", map[string]any{"steps": 500, "delay_ms": 50}), "nightly-index", "reports")
	until(t, "the task runs", func() bool {
		task, err := s.tasks.Get(t.Context(), gone.ID)
		return err == nil && task.Progress > 0
	})
	if err := s.tasks.Cancel(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	s.ended(t, gone.ID)
	for i := range 9 {
		add(manager.AgentTask("agent", "count", map[string]any{"steps": 60 + 40*i, "delay_ms": 100}),
			[]string{"transcode", "import-catalogue", "reindex"}[i%3], []string{"media", "default", "reports"}[i%3])
	}
	if err := s.tasks.SetLimit(t.Context(), manager.Limit{Queue: "mail", Rate: manager.Rate{Tasks: 20, Per: time.Minute}}); err != nil {
		t.Fatal(err)
	}
	if err := s.tasks.SetLimit(t.Context(), manager.Limit{Queue: "media", Concurrency: 2}); err != nil {
		t.Fatal(err)
	}
	for i, cron := range []string{"0 7 * * 1-5", "@every 10m", "30 2 1 * *"} {
		spec := manager.ProcessorTask(article, "text", "markdown:process")
		_, err := s.tasks.SetSchedule(t.Context(), manager.Schedule{
			Name: []string{"morning-digest", "poll-feeds", "monthly-report"}[i], Cron: cron, TimeZone: []string{"Europe/Berlin", "", ""}[i], Paused: i == 2, Spec: spec,
		})
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", cron, err))
		}
	}
}

// work submits tasks for a time, now more and now fewer, as a day has it.
func work(t testing.TB, s *system, d time.Duration) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < d; <-tick.C {
		phase := time.Since(start).Seconds() / d.Seconds() * 4 * math.Pi
		for range 2 + int(5*(1+math.Sin(phase))) + random.IntN(4) {
			spec := manager.ProcessorTask(article, "text", "markdown")
			spec.Name, spec.Queue = "publish-notes", "publish"
			switch random.IntN(12) {
			case 0:
				spec = manager.AgentTask("agent", "fetch", map[string]any{"url": "https://prices.example.com/today"})
				spec.Name = "fetch-prices"
			case 1, 2:
				spec = manager.AgentTask("agent", "count", map[string]any{"steps": 10 + random.IntN(30), "delay_ms": 40})
				spec.Name, spec.Queue = "import-catalogue", "orders"
			}
			task := s.submit(t, spec)
			if random.IntN(60) == 0 {
				_ = s.tasks.Cancel(t.Context(), task.ID)
			}
		}
	}
}
