package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/monitor"
)

// TestSources checks what is shown of a real manager with its tasks in a file.
func TestSources(t *testing.T) {
	mon, reg := newMonitor(t, monitor.Config{})
	file := filepath.Join(t.TempDir(), "tasks.db")
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h := newHost(t, mon, guests{"echo": {file: "echo.wasm"}})
	m := newManager(t, h, manager.Config{Store: mon.Store(store), OnEvent: mon.TaskEvent, MaxConcurrent: 3, KeepOnStop: true})
	if n, err := testutil.GatherAndCount(reg, "taskhost_slots", "taskhost_store_up"); err != nil || n != 0 {
		t.Errorf("%d series of nothing, %v", n, err)
	}
	mon.Watch(monitor.Sources{Tasks: m, StoreFile: file})
	if err := m.Pause(t.Context(), "mail", true); err != nil {
		t.Fatal(err)
	}
	for _, queue := range []string{"default", "mail", "mail"} {
		s := manager.ProcessorTask("x", "echo")
		s.Queue = queue
		task, err := m.Submit(t.Context(), s)
		if err == nil && queue == "default" {
			_, err = m.Result(t.Context(), task.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	expect(t, reg, `
# HELP taskhost_queue_paused 1 for a queue that is paused.
# TYPE taskhost_queue_paused gauge
taskhost_queue_paused{queue="mail"} 1
# HELP taskhost_queue_pending Tasks that wait in a queue, those that are not due included.
# TYPE taskhost_queue_pending gauge
taskhost_queue_pending{queue="mail"} 2
# HELP taskhost_slots Tasks that can run at once.
# TYPE taskhost_slots gauge
taskhost_slots 3
# HELP taskhost_store_up 1 if the task store answered this scrape.
# TYPE taskhost_store_up gauge
taskhost_store_up 1
# HELP taskhost_tasks_stored Tasks in the store, by status.
# TYPE taskhost_tasks_stored gauge
taskhost_tasks_stored{status="cancelled"} 0
taskhost_tasks_stored{status="completed"} 1
taskhost_tasks_stored{status="failed"} 0
taskhost_tasks_stored{status="pending"} 2
taskhost_tasks_stored{status="running"} 0
`, "taskhost_queue_pending", "taskhost_queue_paused", "taskhost_slots", "taskhost_store_up", "taskhost_tasks_stored")
	if age := value(t, reg, "taskhost_queue_oldest_seconds", "mail"); age <= 0 || age > 60 {
		t.Errorf("the oldest waits for %v s", age)
	}
	size, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, reg, "taskhost_store_size_bytes", "data"); got != float64(size.Size()) {
		t.Errorf("the file has %v bytes, not %d", got, size.Size())
	}
	expectContains(t, scrape(t, mon, ""), `taskhost_queue_wait_seconds_count{queue="default"} 1`, `taskhost_restores_total{plugin="echo"} 1`,
		`taskhost_store_operation_duration_seconds_count{operation="create"} 3`, `taskhost_store_operation_duration_seconds_count{operation="save"} 2`)
}

// broken is a manager whose store does not answer, and one with too many queues.
type broken struct {
	err    error
	queues []manager.QueueStatus
}

func (b *broken) Stats(context.Context) (manager.Stats, error)          { return manager.Stats{}, b.err }
func (b *broken) Queues(context.Context) ([]manager.QueueStatus, error) { return b.queues, b.err }

func TestSourcesFail(t *testing.T) {
	mon, reg := newMonitor(t, monitor.Config{})
	mon.Watch(monitor.Sources{Tasks: &broken{err: errors.New("disk full")}, StoreFile: "/nowhere/tasks.db"})
	expect(t, reg, `
# HELP taskhost_store_up 1 if the task store answered this scrape.
# TYPE taskhost_store_up gauge
taskhost_store_up 0
`, "taskhost_store_up", "taskhost_slots", "taskhost_store_size_bytes")
}

// TestQueuesAreBounded: users can name queues; those past the bound are shown as one.
func TestQueuesAreBounded(t *testing.T) {
	mon, reg := newMonitor(t, monitor.Config{})
	b := &broken{}
	since := time.Now().Add(-time.Hour)
	for n := range 3 * monitor.MaxNames {
		b.queues = append(b.queues, manager.QueueStatus{Limit: manager.Limit{Queue: fmt.Sprint("q", n)}, Pending: 2, Running: 1, WaitingSince: since})
		b.queues = append(b.queues, manager.QueueStatus{Limit: manager.Limit{Plugin: fmt.Sprint("p", n)}, Pending: 2})
		task := task(fmt.Sprint(n), "text", manager.StatusRunning)
		task.Spec.Queue, task.Attempt, task.AttemptAt = fmt.Sprint("q", n), 1, time.Now()
		mon.TaskEvent(manager.Event{Kind: manager.EventStart, Task: task})
	}
	mon.Watch(monitor.Sources{Tasks: b})
	for _, name := range []string{"taskhost_queue_pending", "taskhost_queue_wait_seconds"} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n != monitor.MaxNames+1 {
			t.Errorf("%s has %d series, %v", name, n, err)
		}
	}
	if n := value(t, reg, "taskhost_queue_pending", "other"); n != 2*2*monitor.MaxNames {
		t.Errorf("%v tasks are in other queues", n)
	}
	if age := value(t, reg, "taskhost_queue_oldest_seconds", "other"); age < 3600 || age > 3700 {
		t.Errorf("the oldest waits for %v s", age)
	}
}

// failing is a store that cannot save.
type failing struct{ manager.Store }

func (failing) Save(context.Context, manager.Task, manager.Lease, ...manager.Record) (uint64, error) {
	return 0, &abi.Error{Code: abi.CodeUnavailable, Message: "disk full"}
}

func TestStoreErrors(t *testing.T) {
	mon, reg := newMonitor(t, monitor.Config{})
	s := mon.Store(failing{manager.NewMemoryStore()})
	if w, ok := s.(interface{ Waits() bool }); !ok || w.Waits() {
		t.Error("a store in memory waits")
	}
	_, _ = s.Save(t.Context(), manager.Task{}, manager.Lease{})
	_, _ = s.Get(t.Context(), "unknown") // says nothing of the store
	expect(t, reg, strings.TrimSpace(`
# HELP taskhost_store_errors_total Operations of the task store that it could not do, by code.
# TYPE taskhost_store_errors_total counter
taskhost_store_errors_total{code="unavailable",operation="save"} 1
`)+"\n", "taskhost_store_errors_total")
}
