package manager

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/abi"
)

// Runner runs one call of a plugin's function. *host.Host is one.
//
// Run must be safe for concurrent use and return soon after ctx is done; context.Cause(ctx) is an *abi.Error that says why. It may
// call report until it returns. When it returns an error, the Result beside it still has Function, Version and Usage as far as known.
type Runner interface {
	Run(ctx context.Context, call abi.Call, report func(abi.Progress)) (abi.Result, error)
}

// patient is a store whose Save may wait for a disk or a network. Then the slots of tasks that have ended are free while they are being
// settled. Any Store may have this method.
type patient interface{ Waits() bool }

// Manager runs tasks. Its methods are safe for concurrent use. Make one with New.
type Manager struct {
	runner Runner
	cfg    Config
	store  Store

	shards [numShards]shard // what goes on in this process, by task id
	room   room             // submitters that wait for room in the queue
	subs   subscriptions

	submitting sync.RWMutex // held for reading while a task is created, so that Stop misses none
	mu         sync.Mutex
	state      state
	base       context.Context // what runs see: the values of Start's context, no end

	claiming   context.Context // ends when no more tasks are to be claimed
	stopClaims context.CancelFunc
	stopping   atomic.Bool   // Stop was called
	closing    chan struct{} // closed then
	hard       chan struct{} // closed when what is left is to be cancelled
	hardOnce   sync.Once
	cutOff     atomic.Int64 // tasks that were cancelled or put back by that

	settling    chan *run      // hands attempts to those that settle them; nil: workers do it themselves
	settlers    atomic.Int64   // how many do
	unsettled   sync.WaitGroup // attempts that were handed over; Add by workers alone
	workers     sync.WaitGroup
	workersDone chan struct{} // closed when the last worker has left
	quit        chan struct{} // ends the background work
	background  sync.WaitGroup
	closeOnce   sync.Once

	progress      dirtyRuns
	schedules     schedules
	sweep         chan struct{} // asks the sweeper to look; has room for one
	finished      atomic.Int64  // tasks that became final since the sweeper looked
	finishedBytes atomic.Int64  // what they hold
	busy          atomic.Int64
	removed       atomic.Uint64
}

type state int

const (
	stateNew state = iota
	stateStarted
	stateStopping
)

// New makes a manager that runs plugins through runner, which may be nil if only Go functions are to run. It starts nothing:
// tasks can be submitted, and wait for Start. The error is CodeInvalid and says which field of cfg is wrong.
func New(runner Runner, cfg Config) (*Manager, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m := &Manager{
		runner:      runner,
		cfg:         cfg,
		store:       cfg.Store,
		base:        context.Background(),
		closing:     make(chan struct{}),
		hard:        make(chan struct{}),
		workersDone: make(chan struct{}),
		quit:        make(chan struct{}),
		sweep:       make(chan struct{}, 1),
	}
	m.claiming, m.stopClaims = context.WithCancel(context.Background())
	m.progress.kick = make(chan struct{}, 1)
	m.schedules.wake = make(chan struct{}, 1)
	if s, ok := m.store.(patient); ok && s.Waits() {
		m.settling = make(chan *run)
	}
	for i := range m.shards {
		m.shards[i].init()
	}
	return m, nil
}

// Start begins to work off the queue. ctx gives the values that runs see, such as a trace; its end does not stop the manager, Stop
// does. A second Start is CodeConflict, one after Stop CodeClosed.
func (m *Manager) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch m.state {
	case stateStarted:
		return abi.Errorf(abi.CodeConflict, "the manager was started already")
	case stateStopping:
		return errClosed()
	}
	m.state = stateStarted
	m.base = context.WithoutCancel(ctx)
	for range m.cfg.MaxConcurrent {
		m.workers.Go(m.work)
	}
	m.background.Go(func() { m.workers.Wait(); m.unsettled.Wait(); close(m.workersDone) })
	m.background.Go(m.flushProgress)
	m.background.Go(m.keepLeases)
	m.background.Go(m.sweepFinished)
	m.background.Go(m.fireSchedules)
	return nil
}

func errClosed() error { return abi.Errorf(abi.CodeClosed, "the manager is stopped") }

// Submit checks a task, stores it and returns it at once; it runs when a slot is free. When it returns without an error the task is
// stored, as safely as the store can. With Spec.Unique it may be an earlier task that is returned. Errors: CodeInvalid, CodeQueueFull (see SubmitWait), CodeConflict
// for a unique key that is held, CodeNotFound for a task of Spec.After that is unknown, CodeClosed after Stop, CodeUnavailable
// from the store, or ctx's error.
func (m *Manager) Submit(ctx context.Context, spec Spec) (Task, error) {
	one := singles.Get().(*[1]Task)
	defer dropSingle(one)
	err := m.newTask(&one[0], &spec)
	if err == nil {
		err = m.create(ctx, one[:])
	}
	return m.submitted(&one[0], err)
}

// singles are slices of one task for Create, which are used again.
var singles = sync.Pool{New: func() any { return new([1]Task) }}

func dropSingle(one *[1]Task) {
	one[0] = Task{}
	singles.Put(one)
}

// SubmitWait is Submit, but waits for room when the queue is full, until ctx ends or the manager stops.
func (m *Manager) SubmitWait(ctx context.Context, spec Spec) (Task, error) {
	one := singles.Get().(*[1]Task)
	defer dropSingle(one)
	err := m.newTask(&one[0], &spec)
	if err == nil {
		err = m.create(ctx, one[:])
		if err != nil && abi.CodeOf(err) == abi.CodeQueueFull {
			err = m.room.wait(ctx, m.closing, func() error { return m.create(ctx, one[:]) })
		}
	}
	return m.submitted(&one[0], err)
}

// newTask makes t a task of a spec; it is not stored. With an error the task has no id.
func (m *Manager) newTask(t *Task, given *Spec) (err error) {
	t.Spec = *given
	spec := &t.Spec
	if err = m.cfg.prepare(spec); err != nil {
		return err
	}
	if m.runner == nil && spec.Kind != KindFunc {
		return abi.Errorf(abi.CodeInvalid, "this manager runs Go functions only: it was made without a runner for plugins")
	}
	if t.ID, err = newID(); err != nil {
		return err
	}
	t.Status, t.CreatedAt, t.RunAt = StatusPending, now(), spec.RunAt.UTC()
	t.TotalSteps, t.InputBytes = max(1, len(spec.Steps)), len(spec.Input)
	if spec.Expiry > 0 {
		start := t.CreatedAt
		if t.RunAt.After(start) {
			start = t.RunAt
		}
		t.ExpiresAt = start.Add(spec.Expiry)
	}
	return nil
}

// randoms are the system's random numbers, a few hundred bytes at a time.
var randoms = sync.Pool{New: func() any { return bufio.NewReaderSize(rand.Reader, 512) }}

// newID makes an id that is larger than those made before in this process.
func newID() (string, error) {
	r := randoms.Get().(*bufio.Reader)
	defer randoms.Put(r)
	id, err := uuid.NewV7FromReader(r)
	if err != nil {
		return "", abi.Errorf(abi.CodeInternal, "no random numbers for an id: %w", err)
	}
	return id.String(), nil
}

// create stores new tasks and tells of them; records are put with them. Afterwards a task may be an earlier one that holds its unique
// key.
func (m *Manager) create(ctx context.Context, tasks []Task, records ...Record) error {
	m.submitting.RLock()
	defer m.submitting.RUnlock()
	if m.stopping.Load() {
		return errClosed()
	}
	o := CreateOptions{Limit: QueueLimit{Tasks: m.cfg.MaxQueue, Bytes: m.cfg.MaxQueueBytes}, Records: records}
	if !m.listens() {
		return m.store.Create(ctx, tasks, o)
	}
	ids := make([]string, len(tasks))
	for i := range tasks {
		ids[i] = tasks[i].ID
		m.promise(EventSubmit, ids[i])
	}
	err := m.store.Create(ctx, tasks, o)
	for i := range tasks {
		if err != nil || tasks[i].ID != ids[i] {
			m.unpromise(ids[i])
		} else {
			m.tellUntold(&tasks[i])
		}
	}
	return err
}

// submitted tells of a refusal; t may have no id then.
func (m *Manager) submitted(t *Task, err error) (Task, error) {
	if err == nil {
		return *t, nil
	}
	if m.listens() {
		refused := t.header()
		refused.ID, refused.Status = "", ""
		m.tell(Event{Kind: EventReject, Time: now(), Task: refused, Error: err})
	}
	return Task{}, err
}

// Get returns a task, with the progress that it has at this moment. An id that is unknown, or whose task retention has removed,
// is CodeNotFound.
func (m *Manager) Get(ctx context.Context, id string) (Task, error) {
	if r := m.shard(id).run(id); r != nil {
		if t, ok := r.snapshot(); ok {
			return t, nil
		}
	}
	return m.store.Get(ctx, id)
}

// List returns a page of tasks, newest first, without Spec.Input, Output and Partial.
func (m *Manager) List(ctx context.Context, f Filter) (Page, error) {
	if f.Limit < 0 || f.Limit > MaxPage {
		return Page{}, abi.Errorf(abi.CodeInvalid, "the limit is %d; it must be between 0 (the default) and %d", f.Limit, MaxPage)
	}
	for _, s := range f.Status {
		if (&Counts{}).of(s) == nil {
			return Page{}, abi.Errorf(abi.CodeInvalid, "%.64q is no status: they are %v", s, Statuses())
		}
	}
	page, err := m.store.List(ctx, f)
	for i := range page.Tasks {
		t := &page.Tasks[i]
		if t.Status != StatusRunning {
			continue
		}
		if r := m.shard(t.ID).run(t.ID); r != nil {
			if live, ok := r.snapshot(); ok {
				progressOf(&live).copyTo(t)
			}
		}
	}
	return page, err
}

// Stats is what the manager does at one moment.
type Stats struct {
	Counts      Counts `json:"counts"`      // tasks in the store by status; Counts.Pending is the length of the queue
	Slots       int    `json:"slots"`       // Config.MaxConcurrent
	Busy        int    `json:"busy"`        // slots in use in this process
	Subscribers int    `json:"subscribers"` // open subscriptions
	Dropped     uint64 `json:"dropped"`     // events that subscribers were too slow for, since New
	Removed     uint64 `json:"removed"`     // finished tasks that retention removed, since New
}

// Stats returns counts; cheap enough to call at every scrape.
func (m *Manager) Stats(ctx context.Context) (Stats, error) {
	counts, err := m.store.Counts(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("counting tasks: %w", err)
	}
	return Stats{
		Counts:      counts,
		Slots:       m.cfg.MaxConcurrent,
		Busy:        int(m.busy.Load()),
		Subscribers: int(m.subs.open.Load()),
		Dropped:     m.subs.dropped.Load(),
		Removed:     m.removed.Load(),
	}, nil
}
