package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// store is one of taskhost's.
type store struct {
	name    string
	safe    string
	tasks   int
	workers int
	open    func(ctx context.Context, dir string) (s manager.Store, closeIt func() error, err error)
}

var stores = []store{
	{"taskhost, memory store", "no: it is in memory alone", 200_000, 16, openMemory},
	{"taskhost, SQLite store", "yes", 200_000, 64, openSQLite},
}

func openMemory(context.Context, string) (manager.Store, func() error, error) {
	return manager.NewMemoryStore(), func() error { return nil }, nil
}

func openSQLite(ctx context.Context, dir string) (manager.Store, func() error, error) {
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(dir, "tasks.db")})
	if err != nil {
		return nil, nil, err
	}
	return s, func() error { return s.Close(context.Background()) }, nil
}

// maxQueue is how many tasks may wait: submitters that are faster than the workers wait for room, as they would have to in the end.
const maxQueue = 5000

// gcPercent is what the command line of taskhost sets, too.
const gcPercent = 400

// ours are the rows of taskhost.
func ours(noop []byte) []system {
	var systems []system
	for _, s := range stores {
		systems = append(systems, system{
			name: s.name, safe: s.safe, tasks: s.tasks,
			check: func() error { return nil },
			open:  func(ctx context.Context, dir string) (backend, error) { return openOurs(ctx, dir, s, noop) },
		})
	}
	return systems
}

// ourBackend is a host with the plugin; each queue has a store and a manager of its own.
type ourBackend struct {
	store store
	dir   string
	host  *host.Host
	gc    int // as it was
}

func openOurs(ctx context.Context, dir string, s store, noop []byte) (backend, error) {
	before := debug.SetGCPercent(gcPercent)
	h, err := host.New(ctx, host.Config{})
	if err != nil {
		return nil, err
	}
	reuse := &abi.Manifest{Taskhost: &abi.ManifestTaskhost{Isolation: abi.IsolationReuse}}
	if _, err := h.Swap(ctx, "noop", host.Source{Wasm: noop, Manifest: reuse}); err != nil {
		return nil, errors.Join(err, h.Close(ctx))
	}
	return &ourBackend{s, dir, h, before}, nil
}

func (b *ourBackend) close() error {
	debug.SetGCPercent(b.gc)
	return b.host.Close(context.Background())
}

type ourQueue struct {
	manager *manager.Manager
	store   manager.Store
	closeIt func() error
}

func (b *ourBackend) queue(ctx context.Context, workers bool) (queue, error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return nil, err
	}
	s, closeIt, err := b.store.open(ctx, dir)
	if err != nil {
		return nil, err
	}
	m, err := manager.New(b.host, manager.Config{
		Store: s, MaxConcurrent: b.store.workers, KeepOnStop: true,
		MaxQueue: maxQueue, MaxQueueBytes: 1 << 40, MaxFinished: b.store.tasks, MaxFinishedBytes: 1 << 40, // all are to be counted
	})
	if err == nil && workers {
		err = m.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, closeIt())
	}
	return &ourQueue{m, s, closeIt}, nil
}

var ourContent = strings.Repeat("x", payload)

func (q *ourQueue) submit(ctx context.Context) error {
	_, err := q.manager.SubmitWait(ctx, manager.ProcessorTask(ourContent, "noop"))
	return err
}

func (q *ourQueue) submitMany(ctx context.Context, n int) error {
	specs := make([]manager.Spec, n)
	for i := range specs {
		specs[i] = manager.ProcessorTask(ourContent, "noop")
	}
	_, err := q.manager.SubmitBatchWait(ctx, specs)
	return err
}

func (q *ourQueue) worked(ctx context.Context) (int, error) { return q.completed(ctx) }

func (q *ourQueue) completed(ctx context.Context) (int, error) {
	counts, err := q.store.Counts(ctx)
	if failed := counts.Failed + counts.Cancelled; err == nil && failed > 0 {
		err = fmt.Errorf("%d tasks failed", failed)
	}
	return counts.Completed, err
}

func (q *ourQueue) close(ctx context.Context) error {
	return errors.Join(q.manager.Stop(ctx), q.closeIt())
}
