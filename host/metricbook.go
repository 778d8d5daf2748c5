package host

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
)

// metricBook remembers which metrics a plugin's guests have reported and holds them to the bounds of package abi.
// It outlives the plugin's versions. Any goroutine may use it.
type metricBook struct {
	mu     sync.Mutex
	kinds  map[string]metricShape
	series map[string]struct{}
}

// metricShape is what all series of one metric share.
type metricShape struct {
	kind   abi.MetricKind
	labels string // the names, sorted, joined by commas
}

var (
	metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// check says what is wrong with m, or remembers it; the message is empty if nothing is.
func (b *metricBook) check(m *abi.Metric) string {
	switch {
	case len(m.Name) > abi.MaxMetricName:
		return fmt.Sprintf("the name is longer than %d bytes", abi.MaxMetricName)
	case !metricName.MatchString(m.Name):
		return "the name must match " + metricName.String()
	case math.IsNaN(m.Value) || math.IsInf(m.Value, 0):
		return "the value must be finite"
	case m.Kind == abi.MetricAdd && m.Value < 0:
		return "a counter cannot go down"
	case len(m.Labels) > abi.MaxMetricLabels:
		return fmt.Sprintf("more than %d labels", abi.MaxMetricLabels)
	}
	names := sortedKeys(m.Labels)
	var key strings.Builder
	key.WriteString(m.Name)
	for _, n := range names {
		v := m.Labels[n]
		switch {
		case len(n) > abi.MaxLabelName || !labelName.MatchString(n) || strings.HasPrefix(n, "__"):
			return fmt.Sprintf("%q cannot be a label's name", clip(n, abi.MaxLabelName))
		case n == "plugin" || n == "le" || n == "quantile":
			return fmt.Sprintf("the label %q belongs to the host", n)
		case len(v) > abi.MaxLabelValue || !utf8.ValidString(v):
			return fmt.Sprintf("the value of label %q is longer than %d bytes or no UTF-8", n, abi.MaxLabelValue)
		}
		fmt.Fprintf(&key, "\x00%s\x00%s", n, v)
	}
	return b.remember(m, metricShape{m.Kind, strings.Join(names, ",")}, key.String())
}

func (b *metricBook) remember(m *abi.Metric, shape metricShape, series string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kinds == nil {
		b.kinds, b.series = map[string]metricShape{}, map[string]struct{}{}
	}
	known, ok := b.kinds[m.Name]
	switch {
	case ok && known.kind != shape.kind:
		return fmt.Sprintf("it is a %s already", known.kind)
	case ok && known.labels != shape.labels:
		return fmt.Sprintf("it has the labels %q already", known.labels)
	case !ok && len(b.kinds) >= abi.MaxMetrics:
		return fmt.Sprintf("the plugin has %d metrics already", abi.MaxMetrics)
	}
	if _, ok := b.series[series]; !ok {
		if len(b.series) >= abi.MaxMetricSeries {
			return fmt.Sprintf("the plugin has %d different sets of labels already", abi.MaxMetricSeries)
		}
		b.series[series] = struct{}{}
	}
	b.kinds[m.Name] = shape
	return ""
}
