package monitor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// storeOps are the operations of a store whose time is measured.
type storeOps struct {
	time   *prometheus.HistogramVec
	errors *prometheus.CounterVec
}

func newStoreOps(mk *maker) *storeOps {
	return &storeOps{
		time:   mk.histogram("taskhost_store_operation_duration_seconds", "Time of operations of the task store.", durationBuckets(), "operation"),
		errors: mk.counter("taskhost_store_errors_total", "Operations of the task store that it could not do, by code.", "operation", "code"),
	}
}

// Store returns a store that does what s does, and measures how long that takes and how often it fails. It is for manager.Config.Store.
// Claim is not measured, because it waits for tasks.
func (m *Monitor) Store(s manager.Store) manager.Store {
	t := &timedStore{Store: s}
	for op, to := range map[string]*storeOp{"create": &t.create, "get": &t.get, "list": &t.list, "save": &t.save, "extend": &t.extend, "sweep": &t.sweep} {
		*to = storeOp{name: op, time: m.store.time.WithLabelValues(op), errors: m.store.errors}
	}
	return t
}

// storeOp is one of them.
type storeOp struct {
	name   string
	time   prometheus.Observer
	errors *prometheus.CounterVec
}

// ended counts an operation; errors that say something of the task, and not of the store, are none.
func (o *storeOp) ended(began time.Time, err error) {
	o.time.Observe(time.Since(began).Seconds())
	if err == nil {
		return
	}
	switch code := abi.CodeOf(err); code {
	case abi.CodeUnavailable, abi.CodeInternal, abi.CodeTimeout, abi.CodeClosed, abi.CodeLeaseLost, abi.CodeQueueFull:
		o.errors.WithLabelValues(o.name, codeLabel(err)).Inc()
	}
}

type timedStore struct {
	manager.Store
	create, get, list, save, extend, sweep storeOp
}

// Waits is what the manager asks stores that wait for a disk.
func (s *timedStore) Waits() bool {
	w, ok := s.Store.(interface{ Waits() bool })
	return ok && w.Waits()
}

func (s *timedStore) Create(ctx context.Context, tasks []manager.Task, o manager.CreateOptions) error {
	began := time.Now()
	err := s.Store.Create(ctx, tasks, o)
	s.create.ended(began, err)
	return err
}

func (s *timedStore) Get(ctx context.Context, id string) (manager.Task, error) {
	began := time.Now()
	t, err := s.Store.Get(ctx, id)
	s.get.ended(began, err)
	return t, err
}

func (s *timedStore) List(ctx context.Context, f manager.Filter) (manager.Page, error) {
	began := time.Now()
	page, err := s.Store.List(ctx, f)
	s.list.ended(began, err)
	return page, err
}

func (s *timedStore) Save(ctx context.Context, t manager.Task, l manager.Lease, records ...manager.Record) (uint64, error) {
	began := time.Now()
	revision, err := s.Store.Save(ctx, t, l, records...)
	s.save.ended(began, err)
	return revision, err
}

func (s *timedStore) Extend(ctx context.Context, l manager.Lease, ttl time.Duration) (manager.Task, error) {
	began := time.Now()
	t, err := s.Store.Extend(ctx, l, ttl)
	s.extend.ended(began, err)
	return t, err
}

func (s *timedStore) Sweep(ctx context.Context, r manager.Retention, most int) (int, error) {
	began := time.Now()
	n, err := s.Store.Sweep(ctx, r, most)
	s.sweep.ended(began, err)
	return n, err
}
