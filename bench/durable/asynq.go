package durable

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

// What makes Asynq fastest here.
const (
	asynqServers = 8                      // each fetches one task at a time
	asynqWorkers = 104                    // of all of them together
	asynqPool    = 100                    // connections
	asynqCheck   = 100 * time.Millisecond // how long an empty queue is left alone; its default of 1 s would count
)

// asynqOn is Asynq on a Redis that has one of the settings of appendfsync.
func asynqOn(fsync string) system {
	s := system{
		name: "Asynq on Redis, appendfsync " + fsync, safe: "no: within a second", tasks: 20_000,
		check: func() error { _, err := redisProgram(); return err },
		open:  func(ctx context.Context, dir string) (backend, error) { return openAsynq(ctx, dir, fsync) },
	}
	if fsync == "always" {
		s.safe = "yes"
	}
	return s
}

// asynqBackend is a Redis.
type asynqBackend struct {
	server *server
	redis  asynq.RedisClientOpt
	queues int // how many there have been
}

func openAsynq(ctx context.Context, dir, fsync string) (backend, error) {
	s, err := serveRedis(ctx, dir, fsync)
	if err != nil {
		return nil, err
	}
	b := &asynqBackend{server: s, redis: asynq.RedisClientOpt{Network: "unix", Addr: redisSocket(dir), PoolSize: asynqPool}}
	client := asynq.NewClient(b.redis)
	defer client.Close()
	if err := s.ready(ctx, func(context.Context) error { return client.Ping() }); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return b, nil
}

func (b *asynqBackend) close() error { return b.server.close() }

type asynqQueue struct {
	name    string
	client  *asynq.Client
	inspect *asynq.Inspector
	servers []*asynq.Server
	n       atomic.Int64
}

var asynqTask = asynq.NewTask("noop", []byte(strings.Repeat("x", payload)))

func (b *asynqBackend) queue(_ context.Context, workers bool) (queue, error) {
	b.queues++ // counters are the queue's
	q := &asynqQueue{name: strconv.Itoa(b.queues), client: asynq.NewClient(b.redis), inspect: asynq.NewInspector(b.redis)}
	if !workers {
		return q, nil
	}
	for range asynqServers {
		s := asynq.NewServer(b.redis, asynq.Config{
			Concurrency: asynqWorkers / asynqServers, Queues: map[string]int{q.name: 1}, TaskCheckInterval: asynqCheck, Logger: quiet{},
		})
		handler := asynq.HandlerFunc(func(context.Context, *asynq.Task) error { q.n.Add(1); return nil })
		if err := s.Start(handler); err != nil {
			return nil, errors.Join(err, q.close(context.Background()))
		}
		q.servers = append(q.servers, s)
	}
	return q, nil
}

func (q *asynqQueue) submit(ctx context.Context) error {
	_, err := q.client.EnqueueContext(ctx, asynqTask, asynq.Queue(q.name))
	return err
}

func (q *asynqQueue) submitMany(context.Context, int) error { return errNoBatch }

func (q *asynqQueue) worked(context.Context) (int, error) { return int(q.n.Load()), nil }

// completed reads the queue's counters: a task that is done is removed, as is Asynq's default.
func (q *asynqQueue) completed(context.Context) (int, error) {
	info, err := q.inspect.GetQueueInfo(q.name)
	switch {
	case err != nil:
		return 0, err
	case info.FailedTotal > 0:
		return 0, fmt.Errorf("%d tasks failed", info.FailedTotal)
	}
	return info.ProcessedTotal - info.Size, nil
}

func (q *asynqQueue) close(context.Context) error {
	for _, s := range q.servers {
		s.Shutdown()
	}
	return errors.Join(q.client.Close(), q.inspect.Close())
}

// quiet is a logger that drops all.
type quiet struct{}

func (quiet) Debug(...any) {}
func (quiet) Info(...any)  {}
func (quiet) Warn(...any)  {}
func (quiet) Error(...any) {}
func (quiet) Fatal(...any) {}
