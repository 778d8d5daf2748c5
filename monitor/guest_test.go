package monitor_test

import (
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/monitor"
)

func TestGuestMetrics(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	m.HostEvent(guest("a", abi.MetricAdd, "words", 2, map[string]string{"lang": "go"}))
	m.HostEvent(guest("a", abi.MetricAdd, "words", 3, map[string]string{"lang": "go"}))
	m.HostEvent(guest("a", abi.MetricAdd, "words", 1, map[string]string{"lang": "\xff", "plugin": "b"}))
	m.HostEvent(guest("b", abi.MetricAdd, "words", 1, nil)) // other labels
	m.HostEvent(guest("b", abi.MetricSet, "level", 4, nil))
	m.HostEvent(guest("b", abi.MetricSet, "level", -1, nil))
	m.HostEvent(guest("b", abi.MetricObserve, "size", 2, map[string]string{"le": "x"}))
	expect(t, reg, `
# HELP taskhost_plugin_words_total Reported by plugins as words, a counter.
# TYPE taskhost_plugin_words_total counter
taskhost_plugin_words_total{plugin="b"} 1
taskhost_plugin_words_total{lang="go",plugin="a"} 5
taskhost_plugin_words_total{exported_plugin="b",lang="�",plugin="a"} 1
# HELP taskhost_plugin_level Reported by plugins as level, a gauge.
# TYPE taskhost_plugin_level gauge
taskhost_plugin_level{plugin="b"} -1
`, "taskhost_plugin_words_total", "taskhost_plugin_level")
	expectContains(t, scrape(t, m, ""), `taskhost_plugin_size_bucket{exported_le="x",plugin="b",le="1"} 0`,
		`taskhost_plugin_size_bucket{exported_le="x",plugin="b",le="3"} 1`, `taskhost_plugin_size_sum{exported_le="x",plugin="b"} 2`)
}

// TestGuestMetricsConflict: no use of a name by one plugin breaks the page or another plugin's metrics.
func TestGuestMetricsConflict(t *testing.T) {
	m, reg := newMonitor(t, monitor.Config{})
	m.HostEvent(guest("a", abi.MetricObserve, "x", 1, nil))
	for _, name := range []string{"x", "x_bucket", "x_sum", "x_count", "x_created"} {
		m.HostEvent(guest("b", abi.MetricSet, name, 1, nil))
	}
	m.HostEvent(guest("b", abi.MetricAdd, "x", 1, nil))
	m.HostEvent(guest("a", abi.MetricAdd, "y", 1, nil))
	m.HostEvent(guest("b", abi.MetricAdd, "y_total", 1, nil))
	m.HostEvent(guest("b", abi.MetricSet, "y_total", 1, nil))
	m.HostEvent(guest("b", abi.MetricSet, "y", 1, nil))
	for _, name := range []string{"", "X", "1", "a-b", "ü", strings.Repeat("x", abi.MaxMetricName+1)} {
		m.HostEvent(guest("b", abi.MetricSet, name, 1, nil))
	}
	for _, label := range []string{"", "__name__", "a-b", "ü", "1"} {
		m.HostEvent(guest("b", abi.MetricSet, "z", 1, map[string]string{label: "v"}))
	}
	m.HostEvent(guest("b", abi.MetricSet, "z", 1, map[string]string{"plugin": "v", "exported_plugin": "w"}))
	expect(t, reg, `
# HELP taskhost_guest_metrics_dropped_total Values of guests' metrics that cannot be shown: bad names, a name used for another kind, too many series.
# TYPE taskhost_guest_metrics_dropped_total counter
taskhost_guest_metrics_dropped_total{plugin="b",reason="kind"} 9
taskhost_guest_metrics_dropped_total{plugin="b",reason="name"} 12
`, "taskhost_guest_metrics_dropped_total")

	for _, accept := range []string{"", "application/openmetrics-text; version=1.0.0"} {
		seen := map[string]bool{}
		for line := range strings.Lines(scrape(t, m, accept)) {
			if strings.HasPrefix(line, "# TYPE ") {
				name := strings.Fields(line)[2]
				if seen[name] {
					t.Errorf("two families are called %s", name)
				}
				seen[name] = true
			}
		}
	}

	// The name is free again once nobody uses it.
	m.HostEvent(host.Event{Kind: host.EventRemove, Plugin: "a"})
	m.HostEvent(guest("b", abi.MetricSet, "x", 5, nil))
	expectContains(t, scrape(t, m, ""), `taskhost_plugin_x{plugin="b"} 5`)
}
