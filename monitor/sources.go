package monitor

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/manager"
)

// Sources are asked at each scrape for what no event tells. Fields that are not set are left out.
type Sources struct {
	// Tasks is the manager.
	Tasks interface {
		Stats(ctx context.Context) (manager.Stats, error)
		Queues(ctx context.Context) ([]manager.QueueStatus, error)
	}
	// StoreFile is the file of the task store; its log, which has -wal after the name, is shown beside it.
	StoreFile string
}

// Watch says what to ask. It may be called at any time: before, nothing is shown of it.
func (m *Monitor) Watch(s Sources) { m.sources.from.Store(&s) }

// sources collects from Sources.
type sources struct {
	queues *names
	from   atomic.Pointer[Sources]

	stored, slots, busy, subscribers, dropped, removed *prometheus.Desc
	pending, running, oldest, paused                   *prometheus.Desc
	storeSize, up                                      *prometheus.Desc
}

// scrapeTimeout bounds how long a scrape waits for the manager's store.
const scrapeTimeout = 3 * time.Second

func newSources(mk *maker, queues *names) *sources {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return keep(mk, &sources{
		queues:      queues,
		up:          desc("taskhost_store_up", "1 if the task store answered this scrape."),
		stored:      desc("taskhost_tasks_stored", "Tasks in the store, by status.", "status"),
		slots:       desc("taskhost_slots", "Tasks that can run at once."),
		busy:        desc("taskhost_slots_busy", "Slots in use."),
		subscribers: desc("taskhost_subscribers", "Open subscriptions to events."),
		dropped:     desc("taskhost_subscriber_events_dropped_total", "Events that subscribers were too slow for."),
		removed:     desc("taskhost_tasks_removed_total", "Finished tasks that retention removed."),
		pending:     desc("taskhost_queue_pending", "Tasks that wait in a queue, those that are not due included.", "queue"),
		running:     desc("taskhost_queue_running", "Tasks of a queue that run.", "queue"),
		oldest:      desc("taskhost_queue_oldest_seconds", "How long the task that goes next has been due; 0 if none is.", "queue"),
		paused:      desc("taskhost_queue_paused", "1 for a queue that is paused.", "queue"),
		storeSize:   desc("taskhost_store_size_bytes", "Size of the task store's files.", "file"),
	})
}

// Describe implements prometheus.Collector.
func (s *sources) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.up, s.stored, s.slots, s.busy, s.subscribers, s.dropped, s.removed, s.pending, s.running, s.oldest, s.paused, s.storeSize,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *sources) Collect(ch chan<- prometheus.Metric) {
	from := s.from.Load()
	if from == nil {
		return
	}
	if from.Tasks != nil {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
		defer cancel()
		up := 1.0
		if !s.collectStats(ctx, from, ch) || !s.collectQueues(ctx, from, ch) {
			up = 0
		}
		show(ch, s.up, up)
	}
	if from.StoreFile != "" {
		for label, name := range map[string]string{"data": from.StoreFile, "log": from.StoreFile + "-wal"} {
			if st, err := os.Stat(name); err == nil {
				show(ch, s.storeSize, float64(st.Size()), label)
			}
		}
	}
}

func show(ch chan<- prometheus.Metric, desc *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
}

func (s *sources) collectStats(ctx context.Context, from *Sources, ch chan<- prometheus.Metric) bool {
	stats, err := from.Tasks.Stats(ctx)
	if err != nil {
		return false
	}
	for _, status := range manager.Statuses() {
		show(ch, s.stored, float64(stats.Counts.Of(status)), string(status))
	}
	show(ch, s.slots, float64(stats.Slots))
	show(ch, s.busy, float64(stats.Busy))
	show(ch, s.subscribers, float64(stats.Subscribers))
	ch <- prometheus.MustNewConstMetric(s.dropped, prometheus.CounterValue, float64(stats.Dropped))
	ch <- prometheus.MustNewConstMetric(s.removed, prometheus.CounterValue, float64(stats.Removed))
	return true
}

// queueSum sums up the queues that share a label.
type queueSum struct {
	pending, running, paused int
	oldest                   time.Duration
}

func (s *sources) collectQueues(ctx context.Context, from *Sources, ch chan<- prometheus.Metric) bool {
	queues, err := from.Tasks.Queues(ctx)
	if err != nil {
		return false
	}
	now := time.Now()
	sums := map[string]*queueSum{}
	for i := range queues {
		q := &queues[i]
		if q.Queue == "" { // a plugin
			continue
		}
		name := s.queues.bound(q.Queue)
		sum := sums[name]
		if sum == nil {
			sum = &queueSum{}
			sums[name] = sum
		}
		sum.pending += q.Pending
		sum.running += q.Running
		if q.Paused {
			sum.paused++
		}
		if !q.WaitingSince.IsZero() {
			sum.oldest = max(sum.oldest, now.Sub(q.WaitingSince))
		}
	}
	for name, sum := range sums {
		show(ch, s.pending, float64(sum.pending), name)
		show(ch, s.running, float64(sum.running), name)
		show(ch, s.oldest, sum.oldest.Seconds(), name)
		show(ch, s.paused, float64(sum.paused), name)
	}
	return true
}
