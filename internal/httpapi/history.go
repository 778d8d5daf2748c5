package httpapi

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/manager"
)

// How much history there is.
const (
	historyInterval = 5 * time.Second
	historyPoints   = 720 // an hour
)

// HistoryPoint is what happened in one interval, and how things stood at its end.
type HistoryPoint struct {
	T         time.Time `json:"t" doc:"the end of the interval"`
	Submitted uint64    `json:"submitted" doc:"tasks that were accepted"`
	Completed uint64    `json:"completed"`
	Failed    uint64    `json:"failed"`
	Cancelled uint64    `json:"cancelled"`
	P50       float64   `json:"p50_s" doc:"seconds from when a task could start to its end: half of those that completed took no longer; 0: there were none"`
	P99       float64   `json:"p99_s" doc:"the same for 99 of 100"`
	Pending   int       `json:"pending" doc:"tasks"`
	Running   int       `json:"running" doc:"tasks"`
}

// meter counts events; it costs some nanoseconds for each.
type meter struct {
	submitted, completed, failed, cancelled atomic.Uint64
	took                                    [maxBucket + 1]atomic.Uint32
}

func newMeter() *meter { return &meter{} }

func (m *meter) count(e *manager.Event) {
	switch e.Kind {
	case manager.EventSubmit:
		m.submitted.Add(1)
	case manager.EventFinish:
		switch e.Task.Status {
		case manager.StatusCompleted:
			m.completed.Add(1)
			from := e.Task.CreatedAt
			if e.Task.Spec.RunAt.After(from) {
				from = e.Task.Spec.RunAt
			}
			m.took[bucket(e.Task.FinishedAt.Sub(from))].Add(1)
		case manager.StatusFailed:
			m.failed.Add(1)
		case manager.StatusCancelled:
			m.cancelled.Add(1)
		}
	}
}

// Durations fall into buckets, eight for each power of two of microseconds: none is off by more than 7 %.
const (
	subBuckets = 8
	maxBucket  = 40 * subBuckets
)

func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < subBuckets {
		return int(us)
	}
	exp := bits.Len64(us) - 4 // us >> exp is between 8 and 15
	return min((exp+1)*subBuckets+int(us>>exp)-subBuckets, maxBucket)
}

// bucketTop is the longest duration of a bucket, in seconds.
func bucketTop(b int) float64 {
	if b < subBuckets {
		return float64(b+1) / 1e6
	}
	exp := b/subBuckets - 1
	return float64(uint64(b%subBuckets+subBuckets+1)<<exp) / 1e6
}

// point takes what was counted since the last one.
func (m *meter) point(p *HistoryPoint) {
	p.Submitted, p.Completed = m.submitted.Swap(0), m.completed.Swap(0)
	p.Failed, p.Cancelled = m.failed.Swap(0), m.cancelled.Swap(0)
	var counts [maxBucket + 1]uint64
	total := uint64(0)
	for i := range m.took {
		if n := m.took[i].Load(); n > 0 {
			n = m.took[i].Swap(0)
			counts[i] = uint64(n)
			total += uint64(n)
		}
	}
	p.P50, p.P99 = quantile(&counts, total, 50), quantile(&counts, total, 99)
}

func quantile(counts *[maxBucket + 1]uint64, total, percent uint64) float64 {
	if total == 0 {
		return 0
	}
	rank, seen := (total*percent+99)/100, uint64(0)
	for i, n := range counts {
		if seen += n; seen >= rank {
			return bucketTop(i)
		}
	}
	return 0
}

// history is a ring of points.
type history struct {
	tasks  *manager.Manager
	events *Events
	ctx    context.Context
	stop   context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	points []HistoryPoint // the oldest first
}

func startHistory(tasks *manager.Manager, events *Events) *history {
	ctx, stop := context.WithCancel(context.Background())
	h := &history{tasks: tasks, events: events, ctx: ctx, stop: stop, done: make(chan struct{})}
	go h.run()
	return h
}

func (h *history) close() {
	h.stop()
	<-h.done
}

func (h *history) run() {
	defer close(h.done)
	if h.events == nil {
		return
	}
	tick := time.NewTicker(historyInterval)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case now := <-tick.C:
			h.sample(h.ctx, now.UTC())
		}
	}
}

// sample adds a point.
func (h *history) sample(ctx context.Context, now time.Time) {
	p := HistoryPoint{T: now}
	h.events.meter.point(&p)
	if s, err := h.tasks.Stats(ctx); err == nil {
		p.Pending, p.Running = s.Counts.Pending, s.Counts.Running
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.points) >= historyPoints {
		copy(h.points, h.points[1:])
		h.points = h.points[:historyPoints-1]
	}
	h.points = append(h.points, p)
}

// since copies the points after a time.
func (h *history) since(t time.Time) []HistoryPoint {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []HistoryPoint{}
	for _, p := range h.points {
		if p.T.After(t) {
			list = append(list, p)
		}
	}
	return list
}
