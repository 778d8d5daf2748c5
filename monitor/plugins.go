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
}

func newPluginMetrics() *pluginMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &pluginMetrics{
		plugins: newNames(MaxNames), functions: map[string]*names{}, series: map[callKey]*callSeries{},
		live: map[string]map[instancesOf]int{},

		calls:    counter("taskhost_calls_total", "Calls of plugins that ended, by the code of their error.", "plugin", "function", "code"),
		duration: histogram("taskhost_call_duration_seconds", "Run time of calls.", durationBuckets(), "plugin", "function"),
		wait:     histogram("taskhost_call_wait_seconds", "Time that calls waited for an instance.", durationBuckets(), "plugin"),
		ticks:    counter("taskhost_call_ticks_total", "Fuel that calls used.", "plugin", "function"),
		memory: histogram("taskhost_call_peak_memory_bytes", "Peak memory of calls.",
			prometheus.ExponentialBuckets(64<<10, 4, 9), "plugin"), // 64 KiB to 4 GiB
		instances:     gauge("taskhost_instances", "Sandboxes that exist now.", "plugin"),
		instantiated:  counter("taskhost_instantiations_total", "Sandboxes that were made.", "plugin"),
		instantiation: histogram("taskhost_instantiation_duration_seconds", "Time to make a sandbox.", durationBuckets(), "plugin"),
		swaps:         counter("taskhost_swaps_total", "Changes of a plugin's current version: load, rollback, remove.", "plugin", "operation"),
		load:          histogram("taskhost_load_duration_seconds", "Time to load a version, compiling included.", durationBuckets(), "plugin"),
		refusals:      counter("taskhost_refusals_total", "Versions that were refused, by code.", "plugin", "code"),
		version:       gauge("taskhost_version_info", "1 for the version that is current.", "plugin", "version"),
	}
}

func (m *pluginMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.calls, m.duration, m.wait, m.ticks, m.memory, m.instances, m.instantiated, m.instantiation, m.swaps, m.load, m.refusals, m.version,
	}
}

func (m *pluginMetrics) event(e host.Event) {
	plugin := m.plugins.bound(e.Plugin)
	switch e.Kind {
	case host.EventCall:
		m.call(plugin, e)
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
func (m *pluginMetrics) call(plugin string, e host.Event) {
	s := m.of(plugin, e.Function, codeLabel(e.Err))
	s.calls.Inc()
	s.ticks.Add(float64(e.Usage.Ticks))
	s.wait.Observe(e.Usage.Wait.Seconds())
	if e.Version == "" { // it never ran
		return
	}
	s.duration.observe(e.Usage.Duration.Seconds(), e.Task, e.Time)
	s.memory.Observe(float64(e.Usage.PeakMemory))
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
