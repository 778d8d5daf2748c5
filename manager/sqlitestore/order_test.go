package sqlitestore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// TestTurnSurvives has a task of an agent wait for its next attempt while the store is closed: it is still the agent's turn of it, though
// others are due.
func TestTurnSurvives(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	first, second := aTask(t), aTask(t)
	for _, a := range []*manager.Task{&first, &second} {
		a.Spec.Kind, a.Spec.Labels = manager.KindAgent, map[string]string{manager.LabelAgentID: "7"}
	}
	create(t, s, first, second)
	task, l := begin(t, s)
	task.Status, task.RunAt = manager.StatusPending, time.Now().Add(time.Hour).UTC()
	if _, err := s.Save(t.Context(), task, l); err != nil || task.ID != first.ID {
		t.Fatal(task.ID, err)
	}
	closeStore(t, s)

	s = open(t, sqlitestore.Config{Path: path})
	if _, err := s.Queues(t.Context()); err != nil { // all is loaded
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if task, _, err := s.Claim(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("claimed %s (%v), though %s waits for its next attempt", task.ID, err, first.ID)
	}
}

// TestSweepLooksAhead has the oldest end not be in the table yet when tasks are swept: it goes first nevertheless. And tasks that become too old
// are found.
func TestSweepLooksAhead(t *testing.T) {
	s := open(t, sqlitestore.Config{Path: newPath(t)})
	ended := func(at time.Time) manager.Task {
		create(t, s, aTask(t))
		task, l := begin(t, s)
		task.Status, task.FinishedAt = manager.StatusCompleted, at.UTC()
		if _, err := s.Save(t.Context(), task, l); err != nil {
			t.Fatal(err)
		}
		return task
	}
	now := time.Now()
	younger := ended(now.Add(-time.Hour))
	if _, err := s.List(t.Context(), manager.Filter{}); err != nil { // brings it into the table
		t.Fatal(err)
	}
	older := ended(now.Add(-2 * time.Hour))
	sweep := func(r manager.Retention, want int) {
		t.Helper()
		if n, err := s.Sweep(t.Context(), r, 10); n != want || err != nil {
			t.Fatalf("swept %d, want %d (%v)", n, want, err)
		}
	}
	sweep(manager.Retention{Tasks: 1}, 1)
	get(t, s, younger.ID)
	if _, err := s.Get(t.Context(), older.ID); abi.CodeOf(err) != abi.CodeNotFound {
		t.Errorf("the older one: %v", err)
	}
	sweep(manager.Retention{FinishedAfter: now.Add(-90 * time.Minute)}, 0)
	sweep(manager.Retention{FinishedAfter: now.Add(-30 * time.Minute)}, 1)
}
