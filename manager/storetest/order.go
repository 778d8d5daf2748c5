package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// with creates a task that is changed before.
func with(t *testing.T, s manager.Store, n int, change func(*manager.Task)) manager.Task {
	t.Helper()
	task := newTask(n)
	change(&task)
	return create(t, s, task)
}

// claims claims so many tasks and returns their numbers.
func claims(t *testing.T, s manager.Store, n int) (numbers []int, leases []manager.Lease) {
	t.Helper()
	for range n {
		task, l := claim(t, s, ttl)
		numbers = append(numbers, number(task))
		leases = append(leases, l)
	}
	return numbers, leases
}

// finish takes a claimed task to its end.
func finish(t *testing.T, s manager.Store, l manager.Lease) manager.Task {
	t.Helper()
	task, err := s.Get(t.Context(), l.ID)
	if err != nil {
		t.Fatal(err)
	}
	return save(t, s, completed(running(task, time.Now()), time.Now()), l)
}

func limit(t *testing.T, s manager.Store, l manager.Limit) {
	t.Helper()
	if err := s.SetLimit(t.Context(), l); err != nil {
		t.Fatalf("SetLimit: %v", err)
	}
}

func createBatch(t *testing.T, s manager.Store) {
	create(t, s, newTask(3))
	batch := []manager.Task{newTask(1), newTask(2), newTask(3)}
	wantCode(t, s.Create(t.Context(), batch, manager.CreateOptions{}), abi.CodeConflict)
	wantCode(t, s.Create(t.Context(), []manager.Task{newTask(4), newTask(4)}, manager.CreateOptions{}), abi.CodeConflict)
	full := manager.CreateOptions{Limit: manager.QueueLimit{Tasks: 2}}
	wantCode(t, s.Create(t.Context(), batch[:2], full), abi.CodeQueueFull)
	for _, n := range []int{1, 2, 4} {
		_, err := s.Get(t.Context(), newTask(n).ID)
		wantCode(t, err, abi.CodeNotFound)
	}
	if err := s.Create(t.Context(), batch[:2], manager.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, task := range batch[:2] {
		if task.Revision == 0 {
			t.Fatal("Create did not set the revision")
		}
		get(t, s, task)
	}
	if got, _ := claims(t, s, 3); !slices.Equal(got, []int{3, 1, 2}) {
		t.Fatalf("claimed %v", got)
	}
}

func priorities(t *testing.T, s manager.Store) {
	for n, p := range []int{0, -3, 5, 5, 1} {
		with(t, s, n, func(task *manager.Task) { task.Spec.Priority = p })
	}
	if got, _ := claims(t, s, 5); !slices.Equal(got, []int{2, 3, 4, 0, 1}) {
		t.Fatalf("claimed %v", got)
	}
}

func fairQueues(t *testing.T, s manager.Store) {
	for n := range 8 {
		with(t, s, n, func(task *manager.Task) { task.Spec.Queue = []string{"a", "a", "a", "a", "a", "b", "b", "c"}[n] })
	}
	if got, _ := claims(t, s, 8); !slices.Equal(got, []int{0, 5, 7, 1, 6, 2, 3, 4}) {
		t.Fatalf("claimed %v", got)
	}
}

func queueConcurrency(t *testing.T, s manager.Store) {
	limit(t, s, manager.Limit{Queue: "a", Concurrency: 2})
	for n := range 5 {
		with(t, s, n, func(task *manager.Task) { task.Spec.Queue = "a" })
	}
	got, leases := claims(t, s, 2)
	noClaim(t, s)
	with(t, s, 5, func(task *manager.Task) { task.Spec.Queue = "b" })
	if more, _ := claims(t, s, 1); more[0] != 5 {
		t.Fatalf("claimed %v and then %v", got, more)
	}
	waiting := claimLater(t, s)
	finish(t, s, leases[0])
	if n := <-waiting; n != 2 {
		t.Fatalf("after one had ended, %d was claimed", n)
	}
	noClaim(t, s)
	limit(t, s, manager.Limit{Queue: "a"})
	claims(t, s, 2)
}

// claimLater claims in the background and sends the number of the task, -1 if there was none in time.
func claimLater(t *testing.T, s manager.Store) <-chan int {
	got := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		task, _, err := s.Claim(ctx, ttl)
		if err != nil {
			got <- -1
			return
		}
		got <- number(task)
	}()
	return got
}

func queuePaused(t *testing.T, s manager.Store) {
	limit(t, s, manager.Limit{Queue: "a", Paused: true})
	with(t, s, 1, func(task *manager.Task) { task.Spec.Queue = "a" })
	noClaim(t, s)
	waiting := claimLater(t, s)
	limit(t, s, manager.Limit{Queue: "a"})
	if n := <-waiting; n != 1 {
		t.Fatalf("claimed %d", n)
	}
}

func queueRate(t *testing.T, s manager.Store) {
	const per = 120 * time.Millisecond
	limit(t, s, manager.Limit{Queue: "a", Rate: manager.Rate{Tasks: 2, Per: per}})
	for n := range 6 {
		with(t, s, n, func(task *manager.Task) { task.Spec.Queue = "a" })
	}
	began := time.Now()
	claims(t, s, 6) // two at once, then one each 60 ms
	if took := time.Since(began); took < 2*per-5*time.Millisecond {
		t.Fatalf("6 tasks were claimed within %v", took)
	}
}

func pluginLimit(t *testing.T, s manager.Store) {
	limit(t, s, manager.Limit{Plugin: "slow", Concurrency: 1})
	for n, plugins := range [][]string{{"slow"}, {"quick", "slow"}, {"slow"}, {"quick"}} {
		with(t, s, n, func(task *manager.Task) {
			task.Spec.Steps = nil
			for _, p := range plugins {
				task.Spec.Steps = append(task.Spec.Steps, manager.Step{Plugin: p})
			}
		})
	}
	got, leases := claims(t, s, 2)
	if !slices.Equal(got, []int{0, 3}) {
		t.Fatalf("claimed %v", got)
	}
	noClaim(t, s)
	finish(t, s, leases[0])
	got, leases = claims(t, s, 1)
	if got[0] != 1 {
		t.Fatalf("claimed %v", got)
	}
	noClaim(t, s)
	waiting := claimLater(t, s)
	finish(t, s, leases[0])
	if n := <-waiting; n != 2 {
		t.Fatalf("claimed %d", n)
	}
}

func listQueues(t *testing.T, s manager.Store) {
	limit(t, s, manager.Limit{Queue: "idle", Concurrency: 3, Rate: manager.Rate{Tasks: 1, Per: time.Second}})
	limit(t, s, manager.Limit{Plugin: "text", Paused: true})
	limit(t, s, manager.Limit{Plugin: "gone", Paused: true})
	limit(t, s, manager.Limit{Plugin: "gone"})
	wantCode(t, s.SetLimit(t.Context(), manager.Limit{}), abi.CodeInvalid)
	for n := range 2 {
		with(t, s, n, func(task *manager.Task) {
			task.Spec.Queue = "a"
			task.Spec.Steps[0].Plugin = "x"
		})
	}
	claim(t, s, ttl)
	got, err := s.Queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(got[0].WaitingSince); age < 0 || age > time.Minute {
		t.Errorf("the task that goes next waits since %v", got[0].WaitingSince)
	}
	got[0].WaitingSince = time.Time{}
	want := []manager.QueueStatus{
		{Limit: manager.Limit{Queue: "a"}, Pending: 1, Running: 1},
		{Limit: manager.Limit{Queue: "idle", Concurrency: 3, Rate: manager.Rate{Tasks: 1, Per: time.Second}}},
		{Limit: manager.Limit{Plugin: "text", Paused: true}},
		{Limit: manager.Limit{Plugin: "x"}, Pending: 1, Running: 1},
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// agentTask makes a task one of an agent.
func agentTask(id string) func(*manager.Task) {
	return func(task *manager.Task) {
		task.Spec.Kind = manager.KindAgent
		task.Spec.Labels = map[string]string{manager.LabelAgentID: id}
	}
}

func agentLine(t *testing.T, s manager.Store) {
	for n, id := range []string{"a", "a", "b", "a"} {
		with(t, s, n, agentTask(id))
	}
	got, leases := claims(t, s, 2)
	if !slices.Equal(got, []int{0, 2}) {
		t.Fatalf("claimed %v", got)
	}
	noClaim(t, s)
	finish(t, s, leases[1])
	noClaim(t, s)
	for _, want := range []int{1, 3} {
		waiting := claimLater(t, s)
		finish(t, s, leases[0])
		if n := <-waiting; n != want {
			t.Fatalf("claimed %d, want %d", n, want)
		}
		task, err := s.Get(t.Context(), newTask(want).ID)
		if err != nil {
			t.Fatal(err)
		}
		leases[0] = manager.Lease{ID: task.ID}
	}
}

func agentRetry(t *testing.T, s manager.Store) {
	for n := range 2 {
		with(t, s, n, agentTask("a"))
	}
	task, l := claim(t, s, ttl)
	task = save(t, s, running(task, time.Now()), l)
	task.Status, task.RunAt = manager.StatusPending, time.Now().Add(40*time.Millisecond)
	save(t, s, task, l)
	got, leases := claims(t, s, 1)
	if got[0] != 0 {
		t.Fatalf("claimed %v while an earlier task waits for its next attempt", got)
	}
	finish(t, s, leases[0])
	claims(t, s, 1)
}

func agentCancel(t *testing.T, s manager.Store) {
	for n := range 3 {
		with(t, s, n, agentTask("a"))
	}
	_, l := claim(t, s, ttl)
	task, err := s.Get(t.Context(), newTask(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	task.Status, task.FinishedAt = manager.StatusCancelled, time.Now()
	save(t, s, task, manager.Lease{})
	noClaim(t, s)
	finish(t, s, l)
	if got, _ := claims(t, s, 1); got[0] != 2 {
		t.Fatalf("claimed %v", got)
	}
}

func afterOthers(t *testing.T, s manager.Store) {
	a, b := newTask(1), newTask(2)
	waits := newTask(3)
	waits.Spec.After = []string{a.ID, b.ID}
	if err := s.Create(t.Context(), []manager.Task{a, b, waits}, manager.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, leases := claims(t, s, 2)
	finish(t, s, leases[0])
	noClaim(t, s)
	waiting := claimLater(t, s)
	finish(t, s, leases[1])
	if n := <-waiting; n != 3 {
		t.Fatalf("claimed %d", n)
	}
	with(t, s, 4, func(task *manager.Task) { task.Spec.After = []string{a.ID} }) // it has ended long ago
	claims(t, s, 1)
}

func afterUnknown(t *testing.T, s manager.Store) {
	a, b := newTask(1), newTask(2)
	a.Spec.After = []string{b.ID}
	wantCode(t, s.Create(t.Context(), []manager.Task{a, b}, manager.CreateOptions{}), abi.CodeNotFound)
	_, err := s.Get(t.Context(), b.ID)
	wantCode(t, err, abi.CodeNotFound)
}

func afterNotSwept(t *testing.T, s manager.Store) {
	a := create(t, s, newTask(1))
	_, l := claim(t, s, ttl)
	finish(t, s, l)
	waits := with(t, s, 2, func(task *manager.Task) { task.Spec.After = []string{a.ID} })
	all := manager.Retention{FinishedAfter: time.Now().Add(time.Hour)}
	sweep(t, s, all, 10, 0)
	_, l = claim(t, s, ttl)
	if l.ID != waits.ID {
		t.Fatalf("claimed %s", l.ID)
	}
	finish(t, s, l)
	sweep(t, s, all, 10, 2)
}

func uniqueKey(t *testing.T, s manager.Store) {
	keyed := func(n int, existing bool) manager.Task {
		task := newTask(n)
		task.Spec.Unique = manager.Unique{Key: "k", Existing: existing}
		return task
	}
	first := create(t, s, keyed(1, false))
	err := s.Create(t.Context(), []manager.Task{newTask(2), keyed(3, false)}, manager.CreateOptions{})
	wantCode(t, err, abi.CodeConflict)
	if id := abi.AsError(err).Task; id != first.ID {
		t.Fatalf("the error names %q, not the holder", id)
	}
	batch := []manager.Task{newTask(2), keyed(3, true)}
	if err := s.Create(t.Context(), batch, manager.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if batch[1].ID != first.ID || batch[1].Revision != first.Revision || batch[0].ID != newTask(2).ID {
		t.Fatalf("created %s, %s", batch[0].ID, batch[1].ID)
	}
	_, leases := claims(t, s, 2)
	finish(t, s, leases[0])
	wantCode(t, s.Create(t.Context(), []manager.Task{keyed(4, false), keyed(5, false)}, manager.CreateOptions{}), abi.CodeConflict)
	create(t, s, keyed(4, false))
}

func uniqueWindow(t *testing.T, s manager.Store) {
	keyed := func(n int) manager.Task {
		task := newTask(n)
		task.Spec.Unique = manager.Unique{Key: "k", Window: 80 * time.Millisecond}
		return task
	}
	began := time.Now()
	create(t, s, keyed(1))
	_, l := claim(t, s, ttl)
	finish(t, s, l)
	for n := 2; ; n++ {
		err := s.Create(t.Context(), []manager.Task{keyed(n)}, manager.CreateOptions{})
		if err == nil {
			break
		}
		wantCode(t, err, abi.CodeConflict)
		if time.Since(began) > 10*time.Second {
			t.Fatal("the window does not end")
		}
	}
	if took := time.Since(began); took < 80*time.Millisecond {
		t.Fatalf("the key was free after %v", took)
	}
}

func expiry(t *testing.T, s manager.Store) {
	limit(t, s, manager.Limit{Queue: "a", Paused: true})
	late := with(t, s, 1, func(task *manager.Task) {
		task.Spec.Queue = "a"
		task.ExpiresAt = time.Now().Add(50 * time.Millisecond)
	})
	begun := with(t, s, 2, func(task *manager.Task) { task.ExpiresAt = time.Now().Add(50 * time.Millisecond) })
	_, l := claim(t, s, ttl)
	if l.ID != begun.ID {
		t.Fatalf("claimed %s", l.ID)
	}
	task, err := s.Get(t.Context(), l.ID)
	if err != nil {
		t.Fatal(err)
	}
	save(t, s, running(task, time.Now()), l)
	task, l = claim(t, s, ttl)
	if l.ID != late.ID || time.Now().Before(task.ExpiresAt) {
		t.Fatalf("claimed %s, %v before it expires", l.ID, time.Until(task.ExpiresAt))
	}
	noClaim(t, s) // the one that has begun does not expire
}

func revive(t *testing.T, s manager.Store) {
	create(t, s, newTask(1))
	task, l := claim(t, s, ttl)
	task = running(task, time.Now())
	task.Status, task.FinishedAt = manager.StatusFailed, time.Now()
	task.Error = &abi.Error{Code: abi.CodeFailed, Message: "no"}
	task = save(t, s, task, l)
	task.Status, task.FinishedAt = manager.StatusPending, time.Time{}
	task = save(t, s, task, manager.Lease{})
	get(t, s, task)
	again, l := claim(t, s, ttl)
	if again.ID != task.ID || again.Attempt != 1 || string(again.Spec.Input) != "hello" {
		t.Fatalf("claimed %+v", again)
	}
	finish(t, s, l)
	got, err := s.Counts(t.Context())
	if err != nil || got != (manager.Counts{Completed: 1}) {
		t.Fatalf("counts %+v, %v", got, err)
	}
	sweep(t, s, manager.Retention{FinishedAfter: time.Now().Add(time.Hour)}, 10, 1)
}

func reviveKey(t *testing.T, s manager.Store) {
	keyed := func(n int) manager.Task {
		task := newTask(n)
		task.Spec.Unique = manager.Unique{Key: "k"}
		return task
	}
	create(t, s, keyed(1))
	_, l := claim(t, s, ttl)
	failed := finish(t, s, l)
	again := failed
	again.Status, again.FinishedAt, again.Output, again.OutputBytes = manager.StatusPending, time.Time{}, nil, 0

	other := create(t, s, keyed(2))
	_, err := s.Save(t.Context(), again, manager.Lease{})
	wantCode(t, err, abi.CodeConflict)
	if id := abi.AsError(err).Task; id != other.ID {
		t.Fatalf("the error names %q, not the holder", id)
	}
	get(t, s, failed)
	_, l = claim(t, s, ttl)
	finish(t, s, l)
	save(t, s, again, manager.Lease{})
	wantCode(t, s.Create(t.Context(), []manager.Task{keyed(3)}, manager.CreateOptions{}), abi.CodeConflict)
	_, l = claim(t, s, ttl)
	finish(t, s, l)
	create(t, s, keyed(3))
}

func deleteFinal(t *testing.T, s manager.Store) {
	task := with(t, s, 1, func(task *manager.Task) { task.Spec.Labels = map[string]string{"who": "me"} })
	wantCode(t, s.Delete(t.Context(), task.ID), abi.CodeConflict)
	wantCode(t, s.Delete(t.Context(), "nobody"), abi.CodeNotFound)
	_, l := claim(t, s, ttl)
	finish(t, s, l)
	if err := s.Delete(t.Context(), task.ID); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), task.ID)
	wantCode(t, err, abi.CodeNotFound)
	if got := ids(t, s, manager.Filter{Labels: map[string]string{"who": "me"}}); len(got) != 0 {
		t.Fatalf("left: %v", got)
	}
	if c, err := s.Counts(t.Context()); err != nil || c != (manager.Counts{}) {
		t.Fatalf("counts %+v, %v", c, err)
	}
}
