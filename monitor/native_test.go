package monitor_test

import (
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/monitor"
)

// TestNativeHistograms: all histograms of taskhost have fine buckets where that is asked for, and keep the fixed ones.
func TestNativeHistograms(t *testing.T) {
	for _, on := range []bool{false, true} {
		m, reg := newMonitor(t, monitor.Config{NativeHistograms: on})
		play(m, "1", "text", manager.StatusCompleted)
		m.HostEvent(call("text", "process", "1", nil))
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			if f.GetType() != dto.MetricType_HISTOGRAM {
				continue
			}
			h := f.GetMetric()[0].GetHistogram()
			n++
			if native := h.Schema != nil; native != on || len(h.GetBucket()) == 0 {
				t.Errorf("%s: native is %v, with %d fixed buckets", f.GetName(), native, len(h.GetBucket()))
			}
		}
		if n < 4 {
			t.Errorf("only %d histograms", n)
		}
		if text := scrape(t, m, ""); !strings.Contains(text, `taskhost_call_duration_seconds_bucket{function="process",plugin="text",le="1"} 1`) {
			t.Errorf("no fixed buckets:\n%s", text)
		}
	}
}
