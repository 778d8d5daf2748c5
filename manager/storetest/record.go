package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func createAndGet(t *testing.T, s manager.Store) {
	task := create(t, s, newTask(1))
	if task.Revision == 0 {
		t.Fatal("the first revision is 0")
	}
	get(t, s, task)
}

func createTwice(t *testing.T, s manager.Store) {
	task := create(t, s, newTask(1))
	other := newTask(1)
	other.Spec.Name = "other"
	err := s.Create(t.Context(), []manager.Task{other}, manager.CreateOptions{})
	wantCode(t, err, abi.CodeConflict)
	get(t, s, task)
}

func roundTrip(t *testing.T, s manager.Store) {
	task := newTask(1)
	task.Spec.Steps = []manager.Step{{Plugin: "a"}, {Plugin: "b", Function: "f", Config: map[string]string{"k": "v"}, Timeout: time.Second}}
	task.Spec.Labels = map[string]string{"who": "me"}
	task.Spec.Input = []byte{0, 255, 1}
	task.Spec.Timeout, task.Spec.StepTimeout = time.Minute, time.Second
	task.Spec.Retry = manager.Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute, Codes: []abi.Code{abi.CodeTrap}}
	task = create(t, s, task)
	get(t, s, task)

	claimed, l := claim(t, s, ttl)
	at := task.CreatedAt.Add(1234567 * time.Microsecond)
	task = running(claimed, at)
	task.Progress, task.CurrentStep, task.TotalSteps, task.Message = 0.25, 1, 2, "half of the first"
	task = save(t, s, task, l)
	get(t, s, task)

	fault := &abi.Error{
		Code: abi.CodeFailed, Message: "no", Plugin: "b", Func: "f", Task: task.ID, Step: 2, Detail: "stack\nstack", Exit: 7,
	}
	usage := abi.Usage{Wait: 1, Duration: 2, PeakMemory: 3, Ticks: 4}
	task.Attempts = []manager.Attempt{{Number: 1, StartedAt: at, FinishedAt: at.Add(time.Second), Version: "sha256:ab", Usage: usage, Error: fault}}
	task.Partial, task.PartialStep, task.PartialCut = []byte("so far"), 1, true
	task.Status, task.FinishedAt, task.Error, task.Cause = manager.StatusFailed, at.Add(time.Second), fault, manager.CauseTimeout
	task.Function, task.Version, task.Usage = "f", "sha256:ab", usage
	task = save(t, s, task, l)
	get(t, s, task)
}

func functions(t *testing.T, s manager.Store) {
	task := newTask(1)
	task.Spec = manager.FuncTask("native", func(ctx context.Context, report func(abi.Progress)) ([]byte, error) { return []byte("ran"), nil })
	err := s.Create(t.Context(), []manager.Task{task}, manager.CreateOptions{})
	if err != nil {
		wantCode(t, err, abi.CodeInvalid)
		return
	}
	claimed, _ := claim(t, s, ttl)
	if claimed.Spec.Func == nil {
		t.Fatal("the store took a function and lost it")
	}
	if out, err := claimed.Spec.Func(t.Context(), nil); string(out) != "ran" || err != nil {
		t.Fatalf("the function gave %q, %v", out, err)
	}
}

func queueLimit(t *testing.T, s manager.Store) {
	limit := manager.QueueLimit{Tasks: 3, Bytes: 12} // each input has 5 bytes
	add := func(n int) error {
		return s.Create(t.Context(), []manager.Task{newTask(n)}, manager.CreateOptions{Limit: limit})
	}
	for n := range 2 {
		if err := add(n); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, add(2), abi.CodeQueueFull) // 15 bytes
	_, err := s.Get(t.Context(), newTask(2).ID)
	wantCode(t, err, abi.CodeNotFound)
	limit.Bytes = 0
	if err := add(2); err != nil {
		t.Fatal(err)
	}
	wantCode(t, add(3), abi.CodeQueueFull) // 3 tasks
	task, l := claim(t, s, ttl)
	wantCode(t, add(3), abi.CodeQueueFull) // claimed, but still pending
	save(t, s, running(task, time.Now()), l)
	if err := add(3); err != nil {
		t.Fatal(err)
	}
}

func saveRevision(t *testing.T, s manager.Store) {
	first := create(t, s, newTask(1))
	second := first
	second.Message = "second"
	second = save(t, s, second, manager.Lease{})
	stale := first
	stale.Message = "stale"
	_, err := s.Save(t.Context(), stale, manager.Lease{})
	wantCode(t, err, abi.CodeConflict)
	future := second
	future.Revision++
	_, err = s.Save(t.Context(), future, manager.Lease{})
	wantCode(t, err, abi.CodeConflict)
	get(t, s, second)
}

func saveHammer(t *testing.T, s manager.Store) {
	task := create(t, s, newTask(1))
	const savers, each = 4, 25
	var wg sync.WaitGroup
	for range savers {
		wg.Go(func() {
			for n := 0; n < each; {
				now, err := s.Get(t.Context(), task.ID)
				if err != nil {
					t.Error(err)
					return
				}
				now.TotalSteps++
				switch _, err = s.Save(t.Context(), now, manager.Lease{}); abi.CodeOf(err) {
				case "":
					n++
				case abi.CodeConflict:
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	now, err := s.Get(t.Context(), task.ID)
	if err != nil || now.TotalSteps != task.TotalSteps+savers*each {
		t.Fatalf("%d saves are left of %d (%v)", now.TotalSteps-task.TotalSteps, savers*each, err)
	}
}

func unknown(t *testing.T, s manager.Store) {
	_, err := s.Get(t.Context(), "nobody")
	wantCode(t, err, abi.CodeNotFound)
	_, err = s.Save(t.Context(), newTask(1), manager.Lease{})
	wantCode(t, err, abi.CodeNotFound)
	_, err = s.Extend(t.Context(), manager.Lease{ID: "nobody", Token: 1 << 60}, ttl)
	wantCode(t, err, abi.CodeNotFound)
}

// ids lists all pages and returns the last four digits of the ids.
func ids(t *testing.T, s manager.Store, f manager.Filter) []string {
	t.Helper()
	got := []string{}
	for {
		page, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		for _, task := range page.Tasks {
			got = append(got, task.ID[len(task.ID)-4:])
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return got
		}
	}
}

func listFilters(t *testing.T, s manager.Store) {
	for n := range 6 {
		task := newTask(n)
		task.Spec.Name = fmt.Sprint("name", n%2)
		task.Spec.Labels = map[string]string{"parity": fmt.Sprint(n % 2), "third": fmt.Sprint(n % 3)}
		if n == 4 {
			task.Spec.Steps = []manager.Step{{Plugin: "text"}, {Plugin: "markdown"}}
		}
		if n == 5 {
			task.Spec.Kind = manager.KindAgent
		}
		create(t, s, task)
	}
	task, l := claim(t, s, ttl) // 0
	save(t, s, completed(running(task, time.Now()), time.Now()), l)
	task, l = claim(t, s, ttl) // 1
	save(t, s, running(task, time.Now()), l)

	for _, c := range []struct {
		name string
		f    manager.Filter
		want []string
	}{
		{"all", manager.Filter{}, []string{"0005", "0004", "0003", "0002", "0001", "0000"}},
		{"one status", manager.Filter{Status: []manager.Status{manager.StatusRunning}}, []string{"0001"}},
		{"two statuses", manager.Filter{Status: []manager.Status{manager.StatusRunning, manager.StatusCompleted}}, []string{"0001", "0000"}},
		{"name", manager.Filter{Name: "name1"}, []string{"0005", "0003", "0001"}},
		{"kind", manager.Filter{Kind: manager.KindAgent}, []string{"0005"}},
		{"plugin of any step", manager.Filter{Plugin: "markdown"}, []string{"0004"}},
		{"one label", manager.Filter{Labels: map[string]string{"third": "0"}}, []string{"0003", "0000"}},
		{"two labels", manager.Filter{Labels: map[string]string{"third": "0", "parity": "1"}}, []string{"0003"}},
		{"no such label", manager.Filter{Labels: map[string]string{"none": ""}}, []string{}},
		{"time", manager.Filter{After: newTask(2).CreatedAt, Before: newTask(4).CreatedAt}, []string{"0003", "0002"}},
		{"several", manager.Filter{Name: "name1", Status: []manager.Status{manager.StatusPending}, Limit: 1}, []string{"0005", "0003"}},
	} {
		if got := ids(t, s, c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func listPages(t *testing.T, s manager.Store) {
	const n = 25
	var want []string
	for i := range n {
		create(t, s, newTask(i))
		want = append(want, fmt.Sprintf("%04d", n-1-i))
	}
	task, l := claim(t, s, ttl)
	save(t, s, completed(running(task, time.Now()), time.Now()), l)
	for _, limit := range []int{0, 1, 7, 24, 25, 26} {
		if got := ids(t, s, manager.Filter{Limit: limit}); !slices.Equal(got, want) {
			t.Fatalf("pages of %d: %v", limit, got)
		}
	}
	page, err := s.List(t.Context(), manager.Filter{Status: []manager.Status{manager.StatusCompleted}})
	if err != nil || len(page.Tasks) != 1 {
		t.Fatalf("%d completed tasks, %v", len(page.Tasks), err)
	}
	if got := page.Tasks[0]; got.Spec.Input != nil || got.Output != nil || got.OutputBytes != 5 || got.InputBytes != 5 {
		t.Fatalf("a listed task has input %q (%d), output %q (%d)", got.Spec.Input, got.InputBytes, got.Output, got.OutputBytes)
	}

	// A page goes on although the task at its edge is gone.
	page, err = s.List(t.Context(), manager.Filter{Limit: n - 1})
	if err != nil || page.Next == "" {
		t.Fatalf("next %q, %v", page.Next, err)
	}
	create(t, s, newTask(n)) // newer: not on a later page
	if _, err = s.Sweep(t.Context(), manager.Retention{FinishedAfter: time.Now().Add(time.Hour)}, 10); err != nil {
		t.Fatal(err)
	}
	page, err = s.List(t.Context(), manager.Filter{Cursor: page.Next})
	if err != nil || len(page.Tasks) != 0 || page.Next != "" {
		t.Fatalf("the last page has %d tasks, next %q, %v", len(page.Tasks), page.Next, err)
	}
}

func counts(t *testing.T, s manager.Store) {
	for n := range 5 {
		create(t, s, newTask(n))
	}
	for _, status := range []manager.Status{manager.StatusCompleted, manager.StatusFailed, manager.StatusCancelled, manager.StatusRunning} {
		task, l := claim(t, s, ttl)
		task = save(t, s, running(task, time.Now()), l)
		if task.Status = status; status.Final() {
			task.FinishedAt = time.Now()
		}
		save(t, s, task, l)
	}
	got, err := s.Counts(t.Context())
	if want := (manager.Counts{Pending: 1, Running: 1, Completed: 1, Failed: 1, Cancelled: 1}); err != nil || got != want {
		t.Fatalf("counts %+v, %v", got, err)
	}
	if _, err := s.Sweep(t.Context(), manager.Retention{FinishedAfter: time.Now().Add(time.Hour)}, 100); err != nil {
		t.Fatal(err)
	}
	got, err = s.Counts(t.Context())
	if want := (manager.Counts{Pending: 1, Running: 1}); err != nil || got != want {
		t.Fatalf("counts %+v after a sweep, %v", got, err)
	}
}

// finished makes n completed tasks that end in the order of their numbers, a minute apart, the last one at end.
func finished(t *testing.T, s manager.Store, n int, end time.Time) {
	t.Helper()
	for i := range n {
		create(t, s, newTask(i))
		task, l := claim(t, s, ttl)
		at := end.Add(time.Duration(i-n+1) * time.Minute)
		save(t, s, completed(running(task, at), at), l)
	}
}

func sweep(t *testing.T, s manager.Store, r manager.Retention, max, want int) {
	t.Helper()
	if n, err := s.Sweep(t.Context(), r, max); err != nil || n != want {
		t.Fatalf("Sweep removed %d, want %d (%v)", n, want, err)
	}
}

func sweepNumber(t *testing.T, s manager.Store) {
	finished(t, s, 6, time.Now())
	create(t, s, newTask(9))
	sweep(t, s, manager.Retention{Tasks: 6}, 10, 0)
	sweep(t, s, manager.Retention{Tasks: 2}, 3, 3)
	sweep(t, s, manager.Retention{Tasks: 2}, 3, 1)
	sweep(t, s, manager.Retention{Tasks: 2}, 3, 0)
	if got := ids(t, s, manager.Filter{}); !slices.Equal(got, []string{"0009", "0005", "0004"}) {
		t.Fatalf("left: %v", got)
	}
	_, err := s.Get(t.Context(), newTask(0).ID)
	wantCode(t, err, abi.CodeNotFound)
}

func sweepAgeBytes(t *testing.T, s manager.Store) {
	now := time.Now()
	finished(t, s, 6, now) // each holds 10 bytes
	create(t, s, newTask(9))
	sweep(t, s, manager.Retention{}, 10, 0)
	sweep(t, s, manager.Retention{FinishedAfter: now.Add(-3*time.Minute - time.Second)}, 10, 2)
	sweep(t, s, manager.Retention{Bytes: 40}, 10, 0)
	sweep(t, s, manager.Retention{Bytes: 25}, 10, 2)
	sweep(t, s, manager.Retention{FinishedAfter: now.Add(time.Hour)}, 10, 2)
	if got := ids(t, s, manager.Filter{}); !slices.Equal(got, []string{"0009"}) {
		t.Fatalf("left: %v", got)
	}
}
