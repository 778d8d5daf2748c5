package manager_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/storetest"
)

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) manager.Store { return manager.NewMemoryStore() })
}

// TestMemoryStoreWithManyTasks goes past the sizes at which lists are read in pieces and the order is tidied up.
func TestMemoryStoreWithManyTasks(t *testing.T) {
	const n = 5000
	s := manager.NewMemoryStore()
	ctx := t.Context()
	for i := range n {
		id := fmt.Sprintf("%05d", i^1) // neighbours come in the wrong order
		task := manager.Task{ID: id, Status: manager.StatusPending, CreatedAt: time.Now()}
		if i^1 == 100 || i^1 == 4900 {
			task.Spec.Name = "rare"
		}
		if err := s.Create(ctx, []manager.Task{task}, manager.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(f manager.Filter, want int) {
		t.Helper()
		last, got := "99999", 0
		for {
			page, err := s.List(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range page.Tasks {
				if got++; task.ID >= last {
					t.Fatalf("%s after %s", task.ID, last)
				}
				last = task.ID
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				break
			}
		}
		if got != want {
			t.Fatalf("%+v: %d tasks, want %d", f, got, want)
		}
	}
	check(manager.Filter{Limit: 700}, n)
	check(manager.Filter{Name: "rare"}, 2)
	check(manager.Filter{After: time.Now().Add(time.Hour)}, 0)

	for range n - 10 {
		task, l, err := s.Claim(ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		task.Status, task.FinishedAt = manager.StatusCompleted, time.Now()
		if _, err := s.Save(ctx, task, l); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := s.Sweep(ctx, manager.Retention{Tasks: 20}, n); err != nil || removed != n-30 {
		t.Fatalf("removed %d, %v", removed, err)
	}
	check(manager.Filter{Limit: 7}, 30)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.List(cancelled, manager.Filter{}); err == nil {
		t.Fatal("List ignores its context")
	}
}

// TestMemoryStoreLeasesOfDifferentLengths has leases run out in another order than they were taken in.
func TestMemoryStoreLeasesOfDifferentLengths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := manager.NewMemoryStore()
		for i, ttl := range []time.Duration{40, 10, 30, 20} {
			if err := s.Create(t.Context(), []manager.Task{{ID: fmt.Sprint(int(ttl)), Status: manager.StatusPending}}, manager.CreateOptions{}); err != nil {
				t.Fatal(i, err)
			}
			if _, _, err := s.Claim(t.Context(), ttl*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		for _, want := range []int{10, 20, 30, 40} {
			task, _, err := s.Claim(t.Context(), time.Hour)
			if err != nil || task.ID != fmt.Sprint(want) || time.Since(began) != time.Duration(want)*time.Second {
				t.Fatalf("%s after %v, %v; want %d", task.ID, time.Since(began), err, want)
			}
		}
	})
}
