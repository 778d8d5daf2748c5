package monitor

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

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
}

// Monitor listens to a host and a manager. Make one with New. Its methods are safe for concurrent use and return quickly.
type Monitor struct {
	tasks   *taskMetrics
	plugins *pluginMetrics
	guests  *guestMetrics
	log     *slog.Logger
	health  func() error
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
	m := &Monitor{
		tasks: newTaskMetrics(), plugins: newPluginMetrics(), guests: newGuestMetrics(),
		log: cfg.Logger, health: cfg.Health, gather: cfg.Gatherer,
	}
	var done []prometheus.Collector
	for _, c := range append(append(m.tasks.collectors(), m.plugins.collectors()...), m.guests.collectors()...) {
		if err := cfg.Registerer.Register(c); err != nil {
			for _, c := range done {
				cfg.Registerer.Unregister(c)
			}
			return nil, fmt.Errorf("monitor: register metrics: %w", err)
		}
		done = append(done, c)
	}
	return m, nil
}

// HostEvent is for host.Config.OnEvent.
func (m *Monitor) HostEvent(e host.Event) {
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
	m.tasks.event(e)
	logTask(m.log, e)
}

// Handler serves GET /metrics and GET /healthz: 200 and "ok", or 503 and the reason.
func (m *Monitor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.gather, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := m.health(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}
