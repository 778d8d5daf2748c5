// Package storetest is the suite that every manager.Store must pass. A store's own test calls Run:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) manager.Store { return open(t, t.TempDir()) })
//	}
//
// It uses the real clock, with leases and delays of some ten milliseconds, and never sleeps.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// ttl is a lease that does not end during a test.
const ttl = time.Minute

// Run runs the suite. open makes a new, empty store and has it closed when its test ends.
func Run(t *testing.T, open func(t *testing.T) manager.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, manager.Store)
	}{
		{"create and get", createAndGet},
		{"create refuses an id in use", createTwice},
		{"every field comes back", roundTrip},
		{"functions are kept or refused", functions},
		{"the queue limit counts pending tasks and their bytes", queueLimit},
		{"claim gives tasks in order, each to one", claimOrder},
		{"claim waits for a task", claimWaits},
		{"claim ends with its context", claimContext},
		{"a claim that gives up leaves the task to others", claimGivesUp},
		{"claim honours a delay", claimDelay},
		{"a task goes to one of many claims", claimHammer},
		{"save needs the current revision", saveRevision},
		{"saves do not get lost", saveHammer},
		{"saving a final task settles it", settleFinal},
		{"saving a pending task puts it back", settlePending},
		{"a cancel ends the lease", cancelLeased},
		{"a lease that ran out goes to another", leaseRunsOut},
		{"an extended lease holds", leaseExtended},
		{"extend shows a cancel", extendShowsCancel},
		{"unknown ids are not found", unknown},
		{"list filters", listFilters},
		{"list pages, newest first, without bytes", listPages},
		{"counts follow", counts},
		{"a batch is created as a whole or not at all", createBatch},
		{"priorities go first", priorities},
		{"queues share the workers", fairQueues},
		{"a queue's concurrency holds", queueConcurrency},
		{"a paused queue waits", queuePaused},
		{"a rate holds", queueRate},
		{"a plugin's limit holds back its tasks alone", pluginLimit},
		{"limits and queues are listed", listQueues},
		{"tasks of an agent run one at a time, in order", agentLine},
		{"an agent's task that is tried again keeps its place", agentRetry},
		{"an agent goes on when a waiting task is cancelled", agentCancel},
		{"a task waits for others", afterOthers},
		{"a task can only wait for what there is", afterUnknown},
		{"what a task waits for is not swept", afterNotSwept},
		{"a unique key keeps others out", uniqueKey},
		{"a unique key holds for its window", uniqueWindow},
		{"a task that expires comes up at once", expiry},
		{"a final task can be revived", revive},
		{"a revived task takes its unique key again", reviveKey},
		{"delete removes what has ended", deleteFinal},
		{"records compare revisions", records},
		{"records go with tasks, all or nothing", recordsWithTasks},
		{"sweep by number, oldest end first", sweepNumber},
		{"sweep by age and bytes, final tasks alone", sweepAgeBytes},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// newTask makes a pending task; later n means later id and time. Its id is a UUIDv7 of that time.
func newTask(n int) manager.Task {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Second)
	ms := at.UnixMilli()
	return manager.Task{
		ID: fmt.Sprintf("%08x-%04x-7000-8000-%012d", ms>>16, ms&0xffff, n), Status: manager.StatusPending, CreatedAt: at, TotalSteps: 1,
		Spec: manager.Spec{
			Name: "upper", Kind: manager.KindProcessor, Steps: []manager.Step{{Plugin: "text", Function: "upper"}},
			Input: []byte("hello"), Retry: manager.Retry{MaxAttempts: 1, Backoff: time.Second, MaxBackoff: time.Minute},
		},
		InputBytes: 5,
	}
}

// number is the n of a task that newTask made.
func number(task manager.Task) int {
	n, err := strconv.Atoi(task.ID[len(task.ID)-4:])
	if err != nil {
		return -1
	}
	return n
}

func create(t *testing.T, s manager.Store, task manager.Task) manager.Task {
	t.Helper()
	tasks := []manager.Task{task}
	if err := s.Create(t.Context(), tasks, manager.CreateOptions{}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	return tasks[0]
}

func claim(t *testing.T, s manager.Store, ttl time.Duration) (manager.Task, manager.Lease) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	task, l, err := s.Claim(ctx, ttl)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if l.ID != task.ID || l.Token == 0 || l.Expires.IsZero() {
		t.Fatalf("Claim gave task %s with lease %+v", task.ID, l)
	}
	return task, l
}

// noClaim checks that nothing can be claimed for a moment.
func noClaim(t *testing.T, s manager.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if task, _, err := s.Claim(ctx, ttl); err == nil {
		t.Fatalf("claimed task %s (%s), want none", task.ID, task.Status)
	}
}

func save(t *testing.T, s manager.Store, task manager.Task, l manager.Lease) manager.Task {
	t.Helper()
	rev, err := s.Save(t.Context(), task, l)
	if err != nil {
		t.Fatalf("Save: %v", err)
	}
	if rev <= task.Revision {
		t.Fatalf("Save gave revision %d after %d", rev, task.Revision)
	}
	task.Revision = rev
	return task
}

// get returns a task and checks that it is the one that is expected.
func get(t *testing.T, s manager.Store, want manager.Task) {
	t.Helper()
	got, err := s.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if a, b := text(t, got), text(t, want); a != b {
		t.Fatalf("Get gave\n%s\nwant\n%s", a, b)
	}
}

// text is a task in JSON, with times in UTC and without the clock's monotonic reading.
func text(t *testing.T, task manager.Task) string {
	t.Helper()
	for _, at := range []*time.Time{&task.CreatedAt, &task.RunAt, &task.StartedAt, &task.FinishedAt, &task.AttemptAt} {
		*at = at.UTC().Round(0)
	}
	b, err := json.MarshalIndent(task, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantCode(t *testing.T, err error, code abi.Code) {
	t.Helper()
	if abi.CodeOf(err) != code {
		t.Fatalf("error %q (%v), want %q", abi.CodeOf(err), err, code)
	}
}

func running(task manager.Task, at time.Time) manager.Task {
	task.Status, task.StartedAt, task.AttemptAt = manager.StatusRunning, at, at
	task.Attempt++
	return task
}

func completed(task manager.Task, at time.Time) manager.Task {
	task.Status, task.FinishedAt, task.Progress = manager.StatusCompleted, at, 1
	task.Output, task.OutputBytes = []byte("HELLO"), 5
	return task
}
