package monitor

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskhost/taskhost/abi"
)

// guestPrefix is what the names of all guests' metrics begin with.
const guestPrefix = "taskhost_plugin_"

// Why a guest's value was dropped.
const (
	dropName   = "name"   // the name or a label's name is not one that Prometheus takes
	dropKind   = "kind"   // another plugin, or this one, uses the name for another kind of metric
	dropPlugin = "plugin" // the plugin has too many series
	dropAll    = "all"    // all plugins together have too many series
)

// guestMetrics are the metrics that plugins report. It is an unchecked collector: what there is to collect is known only when guests
// report it, and plugins may use the same name with different labels. It makes sure itself that what it collects is consistent.
type guestMetrics struct {
	dropped *prometheus.CounterVec
	bounds  []float64

	mu      sync.Mutex
	plugins map[string]*guestPlugin
	claims  map[string]*claim // by exposed name, suffixes included
	series  int
}

// guestPlugin holds the series of one plugin by their identity.
type guestPlugin struct{ series map[string]*guestSeries }

// claim is the use of names by one kind of metric.
type claim struct {
	family string
	kind   abi.MetricKind
	users  int // series
}

func newGuestMetrics(mk *maker) *guestMetrics {
	return keep(mk, &guestMetrics{
		dropped: mk.counter("taskhost_guest_metrics_dropped_total",
			"Values of guests' metrics that cannot be shown: bad names, a name used for another kind, too many series.", "plugin", "reason"),
		bounds:  guestBuckets(),
		plugins: map[string]*guestPlugin{},
		claims:  map[string]*claim{},
	})
}

// record adds one value that a guest of the plugin reported.
func (g *guestMetrics) record(plugin string, m abi.Metric) {
	if reason := g.add(plugin, m); reason != "" {
		g.dropped.WithLabelValues(plugin, reason).Inc()
	}
}

func (g *guestMetrics) add(plugin string, m abi.Metric) (dropped string) {
	names, values, ok := guestLabels(m.Labels)
	if !ok || !metricName.MatchString(m.Name) || len(m.Name) > abi.MaxMetricName {
		return dropName
	}
	id := strings.Join(append(append([]string{string(m.Kind), m.Name}, names...), values...), "\xff")

	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.plugins[plugin]
	if p == nil {
		p = &guestPlugin{series: map[string]*guestSeries{}}
		g.plugins[plugin] = p
	}
	s := p.series[id]
	if s == nil {
		switch {
		case len(p.series) >= abi.MaxMetricSeries:
			return dropPlugin
		case g.series >= MaxGuestSeries:
			return dropAll
		case !g.claim(m.Name, m.Kind):
			return dropKind
		}
		s = newGuestSeries(m, g.bounds, plugin, names, values)
		p.series[id] = s
		g.series++
	}
	s.add(m.Value)
	return ""
}

// forget drops the series of a plugin that is gone.
func (g *guestMetrics) forget(plugin string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.plugins[plugin]
	if p == nil {
		return
	}
	for _, s := range p.series {
		g.release(s.name, s.kind)
	}
	g.series -= len(p.series)
	delete(g.plugins, plugin)
}

// claim takes the names that a family is exposed under, and fails when one of them is another family's. Callers hold mu.
func (g *guestMetrics) claim(name string, kind abi.MetricKind) bool {
	for _, exposed := range exposedNames(name, kind) {
		if c := g.claims[exposed]; c != nil && (c.family != name || c.kind != kind) {
			return false
		}
	}
	for _, exposed := range exposedNames(name, kind) {
		c := g.claims[exposed]
		if c == nil {
			c = &claim{family: name, kind: kind}
			g.claims[exposed] = c
		}
		c.users++
	}
	return true
}

// release undoes one claim. Callers hold mu.
func (g *guestMetrics) release(name string, kind abi.MetricKind) {
	for _, exposed := range exposedNames(name, kind) {
		if c := g.claims[exposed]; c != nil {
			if c.users--; c.users == 0 {
				delete(g.claims, exposed)
			}
		}
	}
}

// exposedNames are the names that a family takes in the text formats; OpenMetrics adds some to those of Prometheus.
func exposedNames(name string, kind abi.MetricKind) []string {
	switch kind {
	case abi.MetricAdd:
		base := strings.TrimSuffix(name, "_total")
		return []string{base, base + "_total", base + "_created"}
	case abi.MetricObserve:
		return []string{name, name + "_bucket", name + "_sum", name + "_count", name + "_created"}
	}
	return []string{name}
}

// Describe implements prometheus.Collector: it describes nothing, which makes the collector unchecked.
func (g *guestMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g *guestMetrics) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	var metrics []prometheus.Metric
	for _, p := range g.plugins {
		for _, s := range p.series {
			metrics = append(metrics, s.metric())
		}
	}
	g.mu.Unlock()
	for _, m := range metrics {
		ch <- m
	}
}

var (
	metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// guestLabels returns the labels in order of their names, made fit for Prometheus: names that we or Prometheus use get "exported_"
// before them, and values become valid UTF-8. It fails for names that Prometheus does not take, or that are then there twice.
func guestLabels(labels map[string]string) (names, values []string, ok bool) {
	type pair struct{ name, value string }
	pairs := make([]pair, 0, len(labels))
	for name, value := range labels {
		switch {
		case !labelName.MatchString(name), strings.HasPrefix(name, "__"), len(name) > abi.MaxLabelName:
			return nil, nil, false
		case name == "plugin", name == "le", name == "quantile":
			name = "exported_" + name
		}
		if len(value) > abi.MaxLabelValue {
			value = value[:abi.MaxLabelValue]
		}
		pairs = append(pairs, pair{name, strings.ToValidUTF8(value, "\uFFFD")})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	for i, p := range pairs {
		if i > 0 && p.name == pairs[i-1].name {
			return nil, nil, false
		}
		names, values = append(names, p.name), append(values, p.value)
	}
	return names, values, len(pairs) <= abi.MaxMetricLabels
}
