package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// What makes River fastest here. It gives a batch of jobs to its workers in each fetch, and is as slow as the pauses between fetches
// when there are few workers; where it fetches more often, it notifies more often, which makes single inserts wait for each other.
const (
	riverWorkers  = 1000
	riverPool     = 32                    // connections
	riverCooldown = 20 * time.Millisecond // between fetches; its default is 100 ms
)

func river() system {
	return system{
		name: "River on PostgreSQL", safe: "yes: PostgreSQL's synchronous_commit is on", tasks: 20_000,
		check: func() error { _, err := postgresPrograms(); return err },
		open:  openRiver,
	}
}

// riverBackend is a database that has River's tables.
type riverBackend struct {
	server *server
	pool   *pgxpool.Pool
}

func openRiver(ctx context.Context, dir string) (_ backend, err error) {
	s, err := servePostgres(ctx, dir)
	if err != nil {
		return nil, err
	}
	b := &riverBackend{server: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	config, err := pgxpool.ParseConfig(fmt.Sprintf("host=%s user=bench dbname=postgres pool_max_conns=%d", dir, riverPool))
	if err != nil {
		return nil, err
	}
	if b.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := s.ready(ctx, b.pool.Ping); err != nil {
		return nil, err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(b.pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return b, err
}

func (b *riverBackend) close() error {
	if b.pool != nil {
		b.pool.Close()
	}
	return b.server.close()
}

// noopArgs are the arguments of a job that does nothing: payload bytes of JSON.
type noopArgs struct {
	Data string `json:"data"`
}

func (noopArgs) Kind() string { return "noop" }

var riverArgs = noopArgs{strings.Repeat("x", payload-len(`{"data":""}`))}

// countWorker counts the jobs it gets.
type countWorker struct {
	riverqueue.WorkerDefaults[noopArgs]
	n *atomic.Int64
}

func (w countWorker) Work(context.Context, *riverqueue.Job[noopArgs]) error {
	w.n.Add(1)
	return nil
}

type riverQueue struct {
	pool   *pgxpool.Pool
	client *riverqueue.Client[pgx.Tx]
	n      atomic.Int64
	stop   bool
}

func (b *riverBackend) queue(ctx context.Context, workers bool) (queue, error) {
	if _, err := b.pool.Exec(ctx, "TRUNCATE river_job"); err != nil {
		return nil, err
	}
	q := &riverQueue{pool: b.pool, stop: workers}
	config := &riverqueue.Config{Logger: slog.New(slog.DiscardHandler)}
	if workers {
		config.Workers = riverqueue.NewWorkers()
		riverqueue.AddWorker(config.Workers, countWorker{n: &q.n})
		config.Queues = map[string]riverqueue.QueueConfig{riverqueue.QueueDefault: {MaxWorkers: riverWorkers}}
		config.FetchCooldown, config.FetchPollInterval = riverCooldown, riverCooldown
	}
	var err error
	if q.client, err = riverqueue.NewClient(riverpgxv5.New(b.pool), config); err != nil {
		return nil, err
	}
	if workers {
		err = q.client.Start(context.WithoutCancel(ctx)) // close stops it
	}
	return q, err
}

func (q *riverQueue) submit(ctx context.Context) error {
	_, err := q.client.Insert(ctx, riverArgs, nil)
	return err
}

func (q *riverQueue) submitMany(ctx context.Context, n int) error {
	jobs := make([]riverqueue.InsertManyParams, n)
	for i := range jobs {
		jobs[i].Args = riverArgs
	}
	_, err := q.client.InsertManyFast(ctx, jobs) // with COPY
	return err
}

func (q *riverQueue) worked(context.Context) (int, error) { return int(q.n.Load()), nil }

func (q *riverQueue) completed(ctx context.Context) (completed int, err error) {
	var failed int
	err = q.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state = 'completed'),
		count(*) FILTER (WHERE state IN ('retryable', 'discarded', 'cancelled')) FROM river_job`).Scan(&completed, &failed)
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d jobs failed", failed)
	}
	return completed, err
}

func (q *riverQueue) close(ctx context.Context) error {
	if !q.stop {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return q.client.StopAndCancel(ctx)
}
