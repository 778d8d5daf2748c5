package host_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// TestMetrics checks what becomes of guests' metrics, and what a guest reads when one is rejected.
func TestMetrics(t *testing.T) {
	long := strings.Repeat("n", abi.MaxMetricName)
	value := strings.Repeat("v", abi.MaxLabelValue)
	label := strings.Repeat("l", abi.MaxLabelName)
	var nine []string
	for n := range abi.MaxMetricLabels + 1 {
		nine = append(nine, fmt.Sprintf(`"l%d":"v"`, n))
	}
	for _, c := range []struct {
		name, lines string // of one plugin, in this order
		want        []string
	}{
		{"good", `add jobs 1
add jobs 2.5
set level -3
observe seconds -0.25
add hits 0 {"kind":"a"}
add hits 1 {"kind":"b"}
add ` + long + ` 1
add labelled 1 {"` + label + `":"` + value + `"}
add eight 1 {` + strings.Join(nine[:abi.MaxMetricLabels], ",") + `}
add plain 1 {}`, []string{"ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok"}},
		{"name", `add Jobs 1
add 1jobs 1
add jobs-done 1
add _jobs 1
add ` + long + `n 1`, []string{
			"metric Jobs: the name must match", "metric 1jobs: the name must match", "metric jobs-done: the name must match",
			"metric _jobs: the name must match", "the name is longer than 64 bytes",
		}},
		{"value", `add a nan
set a nan
observe a nan
add a inf
set a -inf
add a -1`, []string{
			"the value must be finite", "the value must be finite", "the value must be finite", "the value must be finite",
			"the value must be finite", "a counter cannot go down",
		}},
		{"labels", `add a 1 [1]
add a 1 {"l":1}
add a 1 {"l":"v"
add a 1 {"l":"v"} x
add a 1 {"1l":"v"}
add a 1 {"__l":"v"}
add a 1 {"":"v"}
add a 1 {"plugin":"v"}
add a 1 {"le":"v"}
add a 1 {"quantile":"v"}
add a 1 {"` + label + `l":"v"}
add a 1 {"l":"` + value + `v"}
add a 1 {` + strings.Join(nine, ",") + `}
add a 1 {"l":"` + strings.Repeat("v", 20_000) + `"}
add a 1 {"ok":"v"}`, []string{
			"not a JSON object", "not a JSON object", "not a JSON object", "not a JSON object", "cannot be a label's name",
			"cannot be a label's name", "cannot be a label's name", "belongs to the host", "belongs to the host", "belongs to the host",
			"cannot be a label's name", "longer than 128 bytes", "more than 8 labels", "the labels are too long", "ok",
		}},
		{"shape", `add a 1
set a 1
observe a 1
add a 1 {"l":"v"}
add b 1 {"l":"v"}
add b 1 {"m":"v"}
add b 1
add b 1 {"l":"w"}
add a 1`, []string{
			"ok", "it is a counter already", "it is a counter already", "it has the labels", "ok", "it has the labels", "it has the labels", "ok", "ok",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, host.Config{})
			swap(t, h, "metrics", "")
			got := strings.Split(strings.TrimSuffix(run(t, h, "metrics", c.lines), "\n"), "\n")
			lines := strings.Split(c.lines, "\n")
			if len(got) != len(c.want) {
				t.Fatalf("%d answers, want %d: %q", len(got), len(c.want), got)
			}
			for n, want := range c.want {
				if got[n] != want && (want == "ok" || !strings.Contains(got[n], want)) {
					t.Errorf("%.60s: %q, want %q", lines[n], got[n], want)
				}
			}
		})
	}
}

// TestMetricEvents checks the events of metrics that were accepted; the others leave none.
func TestMetricEvents(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	v := swap(t, h, "metrics", "")
	in := "add jobs 2\nadd Jobs 2\nset level -3 {\"a\":\"b\",\"c\":\"d\"}\nobserve seconds 0.25\n"
	if _, err := h.Run(t.Context(), abi.Call{Plugin: "metrics", Function: "process", Input: []byte(in), Task: "t-3"}, nil); err != nil {
		t.Fatal(err)
	}
	want := []abi.Metric{
		{Kind: abi.MetricAdd, Name: "jobs", Value: 2},
		{Kind: abi.MetricSet, Name: "level", Value: -3, Labels: map[string]string{"a": "b", "c": "d"}},
		{Kind: abi.MetricObserve, Name: "seconds", Value: 0.25},
	}
	got := events.all(host.EventMetric)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for n, e := range got {
		m := e.Metric
		if m.Kind != want[n].Kind || m.Name != want[n].Name || m.Value != want[n].Value || !maps.Equal(m.Labels, want[n].Labels) {
			t.Errorf("event %d has the metric %+v, want %+v", n, m, want[n])
		}
		if e.Plugin != "metrics" || e.Function != "process" || e.Task != "t-3" || e.Version != v.Digest || e.Time.IsZero() {
			t.Errorf("event %d is %+v", n, e)
		}
	}
}

// TestMetricBounds checks that a plugin cannot make the host remember more and more, over its calls and its versions.
func TestMetricBounds(t *testing.T) {
	h := newHost(t, host.Config{})
	swap(t, h, "metrics", "")
	if got := run(t, h, "metrics:names", "1000"); got != strconv.Itoa(abi.MaxMetrics) {
		t.Errorf("%s names were accepted, want %d", got, abi.MaxMetrics)
	}
	if got := run(t, h, "metrics:names", "1000"); got != strconv.Itoa(abi.MaxMetrics) {
		t.Errorf("%s of the same names were accepted in the next call, want %d", got, abi.MaxMetrics)
	}
	if got := run(t, h, "metrics:series", "10"); got != "0" {
		t.Errorf("%s series of one name too many were accepted", got)
	}
	if got := run(t, h, "metrics", "add another 1"); !strings.Contains(got, "has 64 metrics already") {
		t.Errorf("the guest reads %q", got)
	}
	swapTo(t, h, "metrics", tagged(guest(t, "metrics"), "2"), "")
	if got := run(t, h, "metrics", "add another 1"); !strings.Contains(got, "has 64 metrics already") {
		t.Errorf("a new version starts anew: the guest reads %q", got)
	}
	swapTo(t, h, "series", guest(t, "metrics"), "")
	if got := run(t, h, "series:series", "2000"); got != strconv.Itoa(abi.MaxMetricSeries) {
		t.Errorf("%s series were accepted, want %d", got, abi.MaxMetricSeries)
	}
	if got := run(t, h, "series", `add series 1 {"v":"none of these"}`); !strings.Contains(got, "different sets of labels") {
		t.Errorf("the guest reads %q", got)
	}
	if got := run(t, h, "series", `add series 1 {"v":"7"}`); got != "ok\n" {
		t.Errorf("for a series that is known the guest reads %q", got)
	}
}
