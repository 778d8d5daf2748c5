package monitor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
)

// Config is what a Monitor is made with. The zero value works: a registry of its own, no logs, always healthy.
type Config struct {
	// Registerer gets the metrics. Default: a new registry.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows. Default: Registerer, if it is a Gatherer too, as a *prometheus.Registry is.
	Gatherer prometheus.Gatherer
	// Logger gets a line for each change of state of a task: finished ones at level info, failed ones, retries and lost ones at warn,
	// the rest at debug. Default: none.
	Logger *slog.Logger
	// Health, when set, is asked by /healthz: an error is the reason why nothing can run here now. It must be quick.
	Health func() error
	// Ready, when set, is asked by /readyz: an error is the reason why no work should be sent here now. It must be quick. Default: Health.
	Ready func() error

	// Tracing gets the events, too. Default: no traces.
	Tracing *Tracing
	// NativeHistograms gives histograms fine buckets of their own, which Prometheus reads when it is told to scrape native histograms. The
	// fixed buckets stay for everybody else.
	NativeHistograms bool
	// Version is that of the program, for taskhost_build_info. Default: unknown.
	Version string
}

// Monitor listens to a host and a manager. Make one with New. Its methods are safe for concurrent use and return quickly.
type Monitor struct {
	tasks   *taskMetrics
	plugins *pluginMetrics
	guests  *guestMetrics
	store   *storeOps
	http    *httpMetrics
	sources *sources
	log     *slog.Logger
	tracing *Tracing
	health  func() error
	ready   func() error
	gather  prometheus.Gatherer
}

// New makes a monitor and registers its metrics. The error says what could not be registered, such as the metrics of a second
// monitor on the same registry; then nothing is.
func New(cfg Config) (*Monitor, error) {
	if cfg.Registerer == nil {
		reg := prometheus.NewRegistry()
		cfg.Registerer = reg
	}
	if cfg.Gatherer == nil {
		gatherer, ok := cfg.Registerer.(prometheus.Gatherer)
		if !ok {
			return nil, errors.New("monitor.Config.Gatherer is needed, because the Registerer cannot gather")
		}
		cfg.Gatherer = gatherer
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Health == nil {
		cfg.Health = func() error { return nil }
	}
	if cfg.Ready == nil {
		cfg.Ready = cfg.Health
	}
	cfg.Version = cmp.Or(cfg.Version, "unknown")
	mk := &maker{native: cfg.NativeHistograms}
	queues := newNames(MaxNames)
	m := &Monitor{
		tasks: newTaskMetrics(mk, queues, cfg.Tracing), plugins: newPluginMetrics(mk), guests: newGuestMetrics(mk),
		store: newStoreOps(mk), http: newHTTPMetrics(mk), sources: newSources(mk, queues),
		log: cfg.Logger, tracing: cfg.Tracing, health: cfg.Health, ready: cfg.Ready, gather: cfg.Gatherer,
	}
	cfg.Tracing.metrics(mk)
	mk.gauge("taskhost_build_info", "1, with the version of taskhost and of Go.", "version", "goversion").
		WithLabelValues(cfg.Version, runtime.Version()).Set(1)
	for i, c := range mk.made {
		if err := cfg.Registerer.Register(c); err != nil {
			for _, c := range mk.made[:i] {
				cfg.Registerer.Unregister(c)
			}
			return nil, fmt.Errorf("monitor: register metrics: %w", err)
		}
	}
	return m, nil
}

// HostEvent is for host.Config.OnEvent.
func (m *Monitor) HostEvent(e host.Event) {
	if m.tracing != nil {
		m.tracing.hostEvent(&e)
	}
	switch e.Kind {
	case host.EventMetric:
		m.guests.record(m.plugins.plugins.bound(e.Plugin), e.Metric)
	case host.EventRemove:
		m.plugins.event(e)
		m.guests.forget(e.Plugin)
	default:
		m.plugins.event(e)
	}
}

// TaskEvent is for manager.Config.OnEvent.
func (m *Monitor) TaskEvent(e manager.Event) {
	if m.tracing != nil {
		m.tracing.taskEvent(&e)
	}
	m.tasks.event(e)
	m.logTask(e)
}

// Handler serves GET /metrics, and GET /healthz and /readyz: 200 and "ok", or 503 and the reason.
func (m *Monitor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.gather, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", probe(m.health))
	mux.HandleFunc("GET /readyz", probe(m.ready))
	return mux
}

func probe(ask func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := ask(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}
