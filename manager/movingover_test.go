package manager_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// The code of docs/moving-over.md. TestMovingOverIsThisCode checks that the document has nothing else.

// Job is a piece of work.
type Job func(ctx context.Context) error

// Pool works off jobs. AsyncWorker and TaskPool both satisfy it.
type Pool interface {
	Add(ctx context.Context, name string, job Job) error
	Stop(ctx context.Context) error
}

// AsyncWorker is the old pool: workers that take functions off a queue. A job that fails leaves a line in the log and nothing else,
// a job that panics takes the program down, and a job that hangs can only be waited for.
type AsyncWorker struct {
	queue   chan Job
	workers sync.WaitGroup
}

func NewAsyncWorker(workers int) *AsyncWorker {
	w := &AsyncWorker{queue: make(chan Job, 1000)}
	for range workers {
		w.workers.Go(func() {
			for job := range w.queue {
				if err := job(context.Background()); err != nil {
					slog.Error("task failed", "error", err)
				}
			}
		})
	}
	return w
}

func (w *AsyncWorker) Add(_ context.Context, _ string, job Job) error {
	w.queue <- job
	return nil
}

func (w *AsyncWorker) Stop(context.Context) error {
	close(w.queue)
	w.workers.Wait()
	return nil
}

// TaskPool is the new pool: the same jobs as tasks of a manager.
type TaskPool struct{ Manager *manager.Manager }

func (p TaskPool) Add(ctx context.Context, name string, job Job) error {
	_, err := p.Manager.SubmitWait(ctx, manager.FuncTask(name, func(ctx context.Context, _ func(abi.Progress)) ([]byte, error) {
		return nil, job(ctx)
	}))
	return err
}

func (p TaskPool) Stop(ctx context.Context) error { return p.Manager.Stop(ctx) }

// NewPool is the switch: one line of configuration chooses, and the same line goes back.
func NewPool(useManager bool, workers int) (Pool, error) {
	if !useManager {
		return NewAsyncWorker(workers), nil
	}
	m, err := manager.New(nil, manager.Config{MaxConcurrent: workers})
	if err != nil {
		return nil, err
	}
	return TaskPool{m}, m.Start(context.Background())
}

// Executor starts a function for an agent and hands out its result by id. AgentExecutor and TaskExecutor both satisfy it.
type Executor interface {
	Execute(ctx context.Context, agentID string, action Action) (id string, err error)
	// Result waits at most timeout; when that is over, it stops the action. 0: no limit.
	Result(ctx context.Context, id string, timeout time.Duration) ([]byte, error)
}

// Action is what an agent does.
type Action func(ctx context.Context) ([]byte, error)

// AgentExecutor is the old executor: as many goroutines as there are actions, and maps that only grow.
type AgentExecutor struct {
	mu      sync.Mutex
	actions map[string]*execution
}

type execution struct {
	done   chan struct{}
	cancel context.CancelFunc
	output []byte
	err    error
}

func (e *AgentExecutor) Execute(_ context.Context, _ string, action Action) (string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	x := &execution{done: make(chan struct{}), cancel: cancel}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.actions == nil {
		e.actions = make(map[string]*execution)
	}
	id := fmt.Sprintf("old-%d", len(e.actions)+1)
	e.actions[id] = x
	go func() {
		defer close(x.done)
		x.output, x.err = action(ctx)
	}()
	return id, nil
}

func (e *AgentExecutor) Result(ctx context.Context, id string, timeout time.Duration) ([]byte, error) {
	e.mu.Lock()
	x := e.actions[id]
	e.mu.Unlock()
	if x == nil {
		return nil, fmt.Errorf("task not found: %s", id)
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	select {
	case <-x.done:
		return x.output, x.err
	case <-ctx.Done():
		x.cancel()
		return nil, fmt.Errorf("task timed out: %s: %w", id, ctx.Err())
	}
}

// TaskExecutor is the new executor.
type TaskExecutor struct{ Manager *manager.Manager }

func (e TaskExecutor) Execute(ctx context.Context, agentID string, action Action) (string, error) {
	spec := manager.FuncTask("agent", func(ctx context.Context, _ func(abi.Progress)) ([]byte, error) { return action(ctx) })
	spec.Labels = map[string]string{manager.LabelAgentID: agentID}
	task, err := e.Manager.Submit(ctx, spec)
	return task.ID, err
}

func (e TaskExecutor) Result(ctx context.Context, id string, timeout time.Duration) ([]byte, error) {
	wait := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	task, err := e.Manager.Result(wait, id)
	if err != nil && wait.Err() != nil && !task.Status.Final() {
		err = errors.Join(err, e.Manager.Cancel(context.WithoutCancel(ctx), id)) // leave this out, and the task goes on
	}
	return task.Output, err
}

// Both runs old and new side by side: new actions go where New says, and results come from wherever the action runs.
type Both struct {
	Old *AgentExecutor
	New TaskExecutor

	UseNew bool
}

func (b Both) Execute(ctx context.Context, agentID string, action Action) (string, error) {
	if b.UseNew {
		return b.New.Execute(ctx, agentID, action)
	}
	return b.Old.Execute(ctx, agentID, action)
}

func (b Both) Result(ctx context.Context, id string, timeout time.Duration) ([]byte, error) {
	if strings.HasPrefix(id, "old-") {
		return b.Old.Result(ctx, id, timeout)
	}
	return b.New.Result(ctx, id, timeout)
}

// A pool that works off a queue of functions, before and after.
func Example_asyncWorker() {
	for _, useManager := range []bool{false, true} {
		pool, err := NewPool(useManager, 2)
		if err != nil {
			fmt.Println(err)
			return
		}
		var mu sync.Mutex
		sum := 0
		for n := range 100 {
			err = pool.Add(context.Background(), "add", func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				sum += n
				return nil
			})
			if err != nil {
				fmt.Println(err)
			}
		}
		err = pool.Stop(context.Background()) // works off the queue
		fmt.Printf("%T: %d %v\n", pool, sum, err)
	}
	// Output:
	// *manager_test.AsyncWorker: 4950 <nil>
	// manager_test.TaskPool: 4950 <nil>
}

// An executor that hands out results by id, old and new at the same time.
func Example_agentExecutor() {
	ctx := context.Background()
	m, err := manager.New(nil, manager.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	both := Both{Old: &AgentExecutor{}, New: TaskExecutor{m}}

	hello := func(context.Context) ([]byte, error) { return []byte(`{"status":"success"}`), nil }
	hang := func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }

	old, _ := both.Execute(ctx, "7", hello)
	both.UseNew = true
	id, _ := both.Execute(ctx, "7", hello)
	slow, _ := both.Execute(ctx, "8", hang)

	out, err := both.Result(ctx, old, 0)
	fmt.Println("old:", string(out), err)
	out, err = both.Result(ctx, id, 0)
	fmt.Println("new:", string(out), err)
	_, err = both.Result(ctx, slow, time.Millisecond)
	fmt.Println("timed out:", errors.Is(err, context.DeadlineExceeded))
	task, err := m.Result(ctx, slow) // it was stopped, and that is known
	fmt.Println(task.Status, task.Spec.Labels, abi.CodeOf(err))

	fmt.Println(m.Stop(ctx))
	// Output:
	// old: {"status":"success"} <nil>
	// new: {"status":"success"} <nil>
	// timed out: true
	// cancelled map[agent_id:8] cancelled
	// <nil>
}

// TestMovingOverIsThisCode checks that every Go block of the document is in this file, word for word.
func TestMovingOverIsThisCode(t *testing.T) {
	doc, err := os.ReadFile("../docs/moving-over.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("movingover_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(blocks) < 5 {
		t.Errorf("the document has %d blocks of Go", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(string(code), string(b[1])) {
			t.Errorf("not in this file:\n%s", b[1])
		}
	}
}
