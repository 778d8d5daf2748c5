package monitor

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// pluginMetrics are the host's metrics of plugins.
type pluginMetrics struct {
	plugins *names

	mu        sync.Mutex
	functions map[string]*names       // by plugin
	series    map[callKey]*callSeries // looked up once
	live      map[string]map[instancesOf]int

	calls         *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	wait          *prometheus.HistogramVec
	ticks         *prometheus.CounterVec
	memory        *prometheus.HistogramVec
	requests      *prometheus.CounterVec
	requestTime   *prometheus.HistogramVec
	restores      *prometheus.CounterVec
	instances     *prometheus.GaugeVec
	instantiated  *prometheus.CounterVec
	instantiation *prometheus.HistogramVec
	swaps         *prometheus.CounterVec
	load          *prometheus.HistogramVec
	refusals      *prometheus.CounterVec
	version       *prometheus.GaugeVec
}

type callKey struct{ plugin, function, code string }

// callSeries are the series that one call of a function with one outcome touches.
type callSeries struct {
	calls    prometheus.Counter
	ticks    prometheus.Counter
	duration *observer
	wait     prometheus.Observer
	memory   prometheus.Observer
	restores prometheus.Counter
}

func newPluginMetrics(mk *maker) *pluginMetrics {
	return &pluginMetrics{
		plugins: newNames(MaxNames), functions: map[string]*names{}, series: map[callKey]*callSeries{},
		live: map[string]map[instancesOf]int{},

		calls:    mk.counter("taskhost_calls_total", "Calls of plugins that ended, by the code of their error.", "plugin", "function", "code"),
		duration: mk.histogram("taskhost_call_duration_seconds", "Run time of calls.", durationBuckets(), "plugin", "function"),
		wait:     mk.histogram("taskhost_call_wait_seconds", "Time that calls waited for an instance.", durationBuckets(), "plugin"),
		ticks:    mk.counter("taskhost_call_ticks_total", "Fuel that calls used.", "plugin", "function"),
		memory: mk.histogram("taskhost_call_peak_memory_bytes", "Peak memory of calls.",
			prometheus.ExponentialBuckets(64<<10, 4, 9), "plugin"), // 64 KiB to 4 GiB
		requests: mk.counter("taskhost_guest_http_requests_total",
			"HTTP requests of guests that ended, by the class of the status or the code of the error.", "plugin", "result"),
		requestTime:   mk.histogram("taskhost_guest_http_request_duration_seconds", "Time of HTTP requests of guests.", durationBuckets(), "plugin"),
		restores:      mk.counter("taskhost_restores_total", "Sandboxes that were put back after a call, to serve the next.", "plugin"),
		instances:     mk.gauge("taskhost_instances", "Sandboxes that exist now.", "plugin"),
		instantiated:  mk.counter("taskhost_instantiations_total", "Sandboxes that were made.", "plugin"),
		instantiation: mk.histogram("taskhost_instantiation_duration_seconds", "Time to make a sandbox.", durationBuckets(), "plugin"),
		swaps:         mk.counter("taskhost_swaps_total", "Changes of a plugin's current version: load, rollback, remove.", "plugin", "operation"),
		load:          mk.histogram("taskhost_load_duration_seconds", "Time to load a version, compiling included.", durationBuckets(), "plugin"),
		refusals:      mk.counter("taskhost_refusals_total", "Versions that were refused, by code.", "plugin", "code"),
		version:       mk.gauge("taskhost_version_info", "1 for the version that is current.", "plugin", "version"),
	}
}

func (m *pluginMetrics) event(e host.Event) {
	plugin := m.plugins.bound(e.Plugin)
	switch e.Kind {
	case host.EventCall:
		m.call(plugin, &e)
	case host.EventHTTP:
		m.requests.WithLabelValues(plugin, requestResult(&e)).Inc()
		m.requestTime.WithLabelValues(plugin).Observe(e.Duration.Seconds())
	case host.EventInstantiate:
		m.setInstances(plugin, e)
		m.instantiated.WithLabelValues(plugin).Inc()
		m.instantiation.WithLabelValues(plugin).Observe(e.Duration.Seconds())
	case host.EventInstanceGone:
		m.setInstances(plugin, e)
	case host.EventFree:
		e.Instances = 0
		m.setInstances(plugin, e)
	case host.EventLoad:
		m.swaps.WithLabelValues(plugin, string(e.Kind)).Inc()
		m.load.WithLabelValues(plugin).Observe(e.Duration.Seconds())
		m.setCurrent(plugin, e)
	case host.EventRollback:
		m.swaps.WithLabelValues(plugin, string(e.Kind)).Inc()
		m.setCurrent(plugin, e)
	case host.EventRefuse:
		m.refusals.WithLabelValues(plugin, codeLabel(e.Err)).Inc()
	case host.EventRemove:
		m.swaps.WithLabelValues(plugin, string(e.Kind)).Inc()
		m.setCurrent(plugin, host.Event{})
	}
}

// call records a call that ended.
func (m *pluginMetrics) call(plugin string, e *host.Event) {
	s := m.of(plugin, e.Function, codeLabel(e.Err))
	s.calls.Inc()
	s.ticks.Add(float64(e.Usage.Ticks))
	s.wait.Observe(e.Usage.Wait.Seconds())
	if e.Version == "" { // it never ran
		return
	}
	s.duration.observe(e.Usage.Duration.Seconds(), e.Time, func() prometheus.Labels {
		return exemplarLabels(e.Task, recordedTrace(e.TraceParent))
	})
	s.memory.Observe(float64(e.Usage.PeakMemory))
	if e.Restored {
		s.restores.Inc()
	}
}

// requestResult is what became of a guest's HTTP request: "2xx" and so on, or the code of the error.
func requestResult(e *host.Event) string {
	if status := e.HTTP.Status; e.Err == nil && status >= 100 && status < 1000 {
		return string(rune('0'+status/100)) + "xx"
	}
	return codeLabel(e.Err)
}

func (m *pluginMetrics) of(plugin, function, code string) *callSeries {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.series[callKey{plugin, function, code}]; s != nil {
		return s
	}
	known := m.functions[plugin]
	if known == nil {
		known = newNames(MaxFunctions)
		m.functions[plugin] = known
	}
	function = known.bound(function)
	key := callKey{plugin, function, code}
	s := m.series[key]
	if s == nil {
		s = &callSeries{
			calls:    m.calls.WithLabelValues(plugin, function, code),
			ticks:    m.ticks.WithLabelValues(plugin, function),
			duration: newObserver(m.duration.WithLabelValues(plugin, function)),
			wait:     m.wait.WithLabelValues(plugin),
			memory:   m.memory.WithLabelValues(plugin),
			restores: m.restores.WithLabelValues(plugin),
		}
		m.series[key] = s
	}
	return s
}

// instancesOf is what an event counts instances of. Plugins past the bound share a label, so the plugin's own name is part of it.
type instancesOf struct {
	plugin  string
	version abi.Digest
}

// setInstances takes over the number of instances of the event's version, and shows the sum over the plugin's versions.
func (m *pluginMetrics) setInstances(plugin string, e host.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live[plugin] == nil {
		m.live[plugin] = map[instancesOf]int{}
	}
	of := instancesOf{e.Plugin, e.Version}
	m.live[plugin][of] = e.Instances
	if e.Instances == 0 {
		delete(m.live[plugin], of)
	}
	sum := 0
	for _, n := range m.live[plugin] {
		sum += n
	}
	m.instances.WithLabelValues(plugin).Set(float64(sum))
}

// setCurrent shows the version of the event, or none, as the plugin's only one.
func (m *pluginMetrics) setCurrent(plugin string, e host.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version.DeletePartialMatch(prometheus.Labels{"plugin": plugin})
	if e.Version != "" && plugin != other {
		m.version.WithLabelValues(plugin, e.Version.Short()).Set(1)
	}
}
