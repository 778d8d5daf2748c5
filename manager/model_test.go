package manager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// The model is a task manager with one slot, as simple as it can be: a list of tasks and the rules of which goes next. The test has
// the manager and the model do the same at the same times of a fake clock, and compares all tasks after each step.

// modelOp is one thing that the test does.
type modelOp struct {
	kind     string // submit, cancel, retry, pause, resume, restart, wait
	task     int    // the task that it is about, or that a submit waits for (-1: none), counted back from the newest
	queue    string
	agent    string
	priority int
	delay    time.Duration
	expiry   time.Duration
	unique   string
	takes    time.Duration // an attempt of the task
	fails    int           // attempts that fail
	wait     time.Duration // afterwards
}

func drawOps(rt *rapid.T) []modelOp {
	seconds := func(max int) *rapid.Generator[time.Duration] {
		return rapid.Custom(func(rt *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, max).Draw(rt, "s")) * time.Second
		})
	}
	op := rapid.Custom(func(rt *rapid.T) modelOp {
		return modelOp{
			kind: rapid.SampledFrom([]string{
				"submit", "submit", "submit", "submit", "submit", "submit", "cancel", "retry", "pause", "resume", "restart", "wait",
			}).Draw(rt, "kind"),
			task:     rapid.IntRange(-1, 5).Draw(rt, "task"),
			queue:    rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "queue"),
			agent:    rapid.SampledFrom([]string{"", "", "", "1", "2"}).Draw(rt, "agent"),
			priority: rapid.IntRange(-2, 2).Draw(rt, "priority"),
			delay:    rapid.OneOf(rapid.Just(time.Duration(0)), seconds(100)).Draw(rt, "delay"),
			expiry:   rapid.OneOf(rapid.Just(time.Duration(0)), rapid.Just(time.Duration(0)), seconds(60)).Draw(rt, "expiry"),
			unique:   rapid.SampledFrom([]string{"", "", "", "k"}).Draw(rt, "unique"),
			takes:    seconds(40).Draw(rt, "takes"),
			fails:    rapid.SampledFrom([]int{0, 0, 0, 1, 2, 9}).Draw(rt, "fails"),
			wait:     seconds(30).Draw(rt, "wait"),
		}
	})
	return rapid.SliceOfN(op, 1, 40).Draw(rt, "ops")
}

// modelTask is a task as the model has it.
type modelTask struct {
	op       modelOp
	id       string
	created  time.Time
	status   manager.Status
	attempts int
	retried  int
	due      time.Time // not before
	since    time.Time // when it became due
	expires  time.Time
	ends     time.Time // of the attempt that runs
	after    *modelTask
	free     bool // the task that it waits for has ended once
	active   bool // the one of its agent whose turn it is
}

type model struct {
	now    time.Time
	tasks  []*modelTask
	paused map[string]bool
}

// advance lets the time go on, event by event.
func (m *model) advance(to time.Time) {
	for {
		m.settle()
		next := to
		for _, t := range m.tasks {
			for _, at := range []time.Time{t.ends, t.due, t.expires} {
				if at.After(m.now) && at.Before(next) {
					next = at
				}
			}
		}
		m.now = next
		if !next.Before(to) {
			m.settle()
			return
		}
	}
}

// settle does all that happens at this moment.
func (m *model) settle() {
	for changed := true; changed; {
		changed = false
		for _, t := range m.tasks {
			if t.status == manager.StatusRunning && !t.ends.After(m.now) {
				m.end(t)
				changed = true
			}
		}
		for _, t := range m.tasks {
			m.comeDue(t)
		}
		if t := m.next(); t != nil {
			m.start(t)
			changed = true
		}
	}
}

// comeDue notes when a task becomes due, and gives it its agent's turn.
func (m *model) comeDue(t *modelTask) {
	t.free = t.free || t.after == nil || t.after.status.Final()
	if t.status != manager.StatusPending || t.due.After(m.now) || !t.free {
		return
	}
	if t.since.IsZero() {
		t.since = m.now
	}
	if t.op.agent == "" || t.active {
		return
	}
	for _, other := range m.tasks {
		if other.op.agent == t.op.agent && other.active {
			return
		}
	}
	t.active = true
}

// next is the task that the free slot takes.
func (m *model) next() (best *modelTask) {
	for _, t := range m.tasks {
		if t.status == manager.StatusRunning {
			return nil
		}
	}
	for _, t := range m.tasks {
		if t.status == manager.StatusPending && m.expired(t) {
			return t
		}
	}
	for _, t := range m.tasks {
		if t.status != manager.StatusPending || t.since.IsZero() || m.paused[t.op.queue] || (t.op.agent != "" && !t.active) {
			continue
		}
		if best == nil || t.key().Before(best.key()) {
			best = t
		}
	}
	return best
}

func (t *modelTask) key() time.Time {
	return t.since.Add(-time.Duration(t.op.priority) * manager.PriorityStep)
}

func (m *model) expired(t *modelTask) bool {
	return !t.expires.IsZero() && !t.expires.After(m.now)
}

func (m *model) start(t *modelTask) {
	switch {
	case m.expired(t), t.after != nil && t.after.status != manager.StatusCompleted:
		m.finish(t, manager.StatusFailed)
	default:
		t.status = manager.StatusRunning
		t.attempts++
		t.due = time.Time{}
		t.expires = time.Time{}
		t.ends = m.now.Add(t.op.takes)
	}
}

// end is the end of an attempt. Tasks have two attempts, a nanosecond apart.
func (m *model) end(t *modelTask) {
	t.ends = time.Time{}
	switch {
	case t.attempts > t.op.fails:
		m.finish(t, manager.StatusCompleted)
	case t.attempts-t.retried < 2:
		t.status, t.due, t.since = manager.StatusPending, m.now.Add(1), time.Time{}
	default:
		m.finish(t, manager.StatusFailed)
	}
}

func (m *model) finish(t *modelTask, s manager.Status) {
	t.status, t.active, t.since, t.due, t.expires = s, false, time.Time{}, time.Time{}, time.Time{}
}

// pick is the n-th newest task, nil if there is none.
func (m *model) pick(n int) *modelTask {
	if n < 0 || n >= len(m.tasks) {
		return nil
	}
	return m.tasks[len(m.tasks)-1-n]
}

// holder is the task that holds a unique key.
func (m *model) holder(key string) *modelTask {
	for _, t := range m.tasks {
		if key != "" && t.op.unique == key && !t.status.Final() {
			return t
		}
	}
	return nil
}

// spec is what the model's task is for the manager.
func (op *modelOp) spec(now time.Time, after *modelTask) manager.Spec {
	input, _ := json.Marshal(map[string]int64{"takes": int64(op.takes), "fails": int64(op.fails)})
	s := manager.Spec{
		Steps: []manager.Step{{Plugin: "p"}}, Input: input, Queue: op.queue, Priority: op.priority, Expiry: op.expiry,
		Unique: manager.Unique{Key: op.unique}, Retry: manager.Retry{MaxAttempts: 2, Backoff: 1}, // so short that the jitter is nothing
	}
	if op.agent != "" {
		s.Kind, s.Labels = manager.KindAgent, map[string]string{manager.LabelAgentID: op.agent}
	}
	if op.delay > 0 {
		s.RunAt = now.Add(op.delay)
	}
	if after != nil {
		s.After = []string{after.id}
	}
	return s
}

// scripted does what the input says.
func scripted(ctx context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	var script struct{ Takes, Fails int64 }
	if err := json.Unmarshal(call.Input, &script); err != nil {
		return abi.Result{}, err
	}
	timer := time.NewTimer(time.Duration(script.Takes))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return abi.Result{}, context.Cause(ctx)
	}
	if int64(call.Attempt) <= script.Fails {
		return abi.Result{}, &abi.Error{Code: abi.CodeFailed, Message: "no"}
	}
	return abi.Result{Output: call.Input}, nil
}

// TestModel compares the manager with the model, on every store.
func TestModel(t *testing.T) {
	for name, open := range modelStores {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				ops := drawOps(rt)
				var failure string
				synctest.Test(t, func(t *testing.T) { failure = playModel(t, open, ops) })
				if failure != "" {
					rt.Fatal(failure)
				}
			})
		})
	}
}

// modelStores make what opens the stores that the model is compared on. A restart of the manager closes its store and opens it again.
var modelStores = map[string]func(*testing.T) (open func() manager.Store){
	"memory": func(*testing.T) func() manager.Store {
		s := manager.NewMemoryStore()
		return func() manager.Store { return s }
	},
	"sqlite": func(t *testing.T) func() manager.Store {
		path := filepath.Join(t.TempDir(), "tasks.db")
		return func() manager.Store {
			s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Queues(t.Context()); err != nil { // waits until all is loaded: the model has no tasks that come later
				t.Fatal(err)
			}
			return settledAtOnce{s}
		}
	},
}

// settledAtOnce is a store that does not say that it waits: in the model a slot is not free before its task is settled.
type settledAtOnce struct{ closingStore }

type closingStore interface {
	manager.Store
	Close(ctx context.Context) error
}

// closeModel stops a manager, which puts the running task back, and closes its store.
func closeModel(m *manager.Manager, store manager.Store) error {
	if err := m.Stop(canceled()); err != nil && abi.CodeOf(err) != abi.CodeCancelled {
		return err
	}
	if s, ok := store.(closingStore); ok {
		return s.Close(context.Background())
	}
	return nil
}

// modelConfig has one slot, and nothing in it ends a lease or forgets a task.
func modelConfig(store manager.Store) manager.Config {
	return manager.Config{Store: store, MaxConcurrent: 1, KeepOnStop: true, LeaseTTL: time.Hour, MaxFinishedAge: 1000 * time.Hour}
}

// playModel does the operations, and says where the two differ.
func playModel(t *testing.T, stores func(*testing.T) func() manager.Store, ops []modelOp) (failure string) {
	open := stores(t)
	store := open()
	m := start(t, runner(scripted), modelConfig(store))
	mod := &model{now: time.Now(), paused: map[string]bool{}}
	defer func() {
		if err := closeModel(m, store); err != nil && failure == "" {
			failure = err.Error()
		}
	}()
	for n, op := range ops {
		what := fmt.Sprintf("operation %d, %+v", n, op)
		switch op.kind {
		case "submit":
			after := mod.pick(op.task)
			task, err := m.Submit(t.Context(), op.spec(mod.now, after))
			if holder := mod.holder(op.unique); holder != nil {
				if abi.CodeOf(err) != abi.CodeConflict || abi.AsError(err).Task != holder.id {
					return fmt.Sprintf("%s: %v, want a conflict with %s", what, err, holder.id)
				}
				break
			}
			if err != nil {
				return fmt.Sprintf("%s: %v", what, err)
			}
			mod.add(op, task.ID, after)
		case "cancel":
			if target := mod.pick(op.task); target != nil {
				if err := m.Cancel(t.Context(), target.id); err != nil {
					return fmt.Sprintf("%s: %v", what, err)
				}
				if !target.status.Final() {
					mod.finish(target, manager.StatusCancelled)
					target.ends = time.Time{}
				}
			}
		case "retry":
			if target := mod.pick(op.task); target != nil {
				if problem := retryModel(t, m, mod, target); problem != "" {
					return what + ": " + problem
				}
			}
		case "pause", "resume":
			mod.paused[op.queue] = op.kind == "pause"
			if err := m.Pause(t.Context(), op.queue, mod.paused[op.queue]); err != nil {
				return fmt.Sprintf("%s: %v", what, err)
			}
		case "restart":
			if err := closeModel(m, store); err != nil {
				return err.Error()
			}
			mod.release()
			if again := open(); again != store {
				mod.reload()
				store = again
			}
			m = start(t, runner(scripted), modelConfig(store))
		}
		synctest.Wait()
		mod.settle()
		if problem := mod.compare(t, m); problem != "" {
			return what + ": " + problem
		}
		time.Sleep(op.wait + time.Millisecond) // the fake clock goes on
		synctest.Wait()
		mod.advance(time.Now())
		if problem := mod.compare(t, m); problem != "" {
			return what + ", after the wait: " + problem
		}
	}
	return ""
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func (m *model) add(op modelOp, id string, after *modelTask) {
	task := &modelTask{op: op, id: id, status: manager.StatusPending, after: after, created: m.now}
	if op.delay > 0 {
		task.due = m.now.Add(op.delay)
	}
	if op.expiry > 0 {
		task.expires = m.now.Add(op.delay + op.expiry)
	}
	m.tasks = append(m.tasks, task)
}

func retryModel(t *testing.T, m *manager.Manager, mod *model, target *modelTask) string {
	_, err := m.Retry(t.Context(), target.id, true)
	holder := mod.holder(target.op.unique)
	refused := target.status != manager.StatusFailed && target.status != manager.StatusCancelled || (holder != nil && holder != target)
	if refused != (abi.CodeOf(err) == abi.CodeConflict) || (!refused && err != nil) {
		return fmt.Sprintf("a retry of a %s task: %v", target.status, err)
	}
	if !refused {
		target.status, target.retried, target.due, target.since, target.expires = manager.StatusPending, target.attempts, time.Time{}, time.Time{}, time.Time{}
	}
	return ""
}

// release puts the running task back: the manager stops.
func (m *model) release() {
	for _, task := range m.tasks {
		if task.status == manager.StatusRunning {
			task.status, task.ends = manager.StatusPending, time.Time{}
			task.attempts--
		}
	}
}

// reload forgets what a store in a file does not keep: when a task became due, other than by its own time, and whose turn it is where no
// attempt was begun.
func (m *model) reload() {
	for _, t := range m.tasks {
		if t.status != manager.StatusPending {
			continue
		}
		if !t.since.IsZero() {
			t.since = t.created
			if t.due.After(t.since) {
				t.since = t.due
			}
		}
		t.active = t.active && t.attempts > 0 && !t.due.IsZero()
	}
}

// compare says what differs.
func (m *model) compare(t *testing.T, real *manager.Manager) string {
	var problems []string
	for i, want := range m.tasks {
		got, err := real.Get(t.Context(), want.id)
		if err != nil || got.Status != want.status || got.Attempt != want.attempts {
			problems = append(problems, fmt.Sprintf("task %d is %s after %d attempts, the model's %s after %d (%v)",
				i, got.Status, got.Attempt, want.status, want.attempts, err))
		}
	}
	counts := map[manager.Status]int{}
	for _, task := range m.tasks {
		counts[task.status]++
	}
	stats, err := real.Stats(t.Context())
	for _, s := range manager.Statuses() {
		if stats.Counts.Of(s) != counts[s] {
			problems = append(problems, fmt.Sprintf("%d tasks are %s, %d in the model (%v)", stats.Counts.Of(s), s, counts[s], err))
		}
	}
	slices.Sort(problems)
	return strings.Join(problems, "\n")
}
