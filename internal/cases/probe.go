package cases

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// MaxReports bounds the reports of progress that an Outcome keeps.
const MaxReports = 1000

// Outcome is everything that is known of a call.
type Outcome struct {
	abi.Result
	Err      *abi.Error     // nil: it succeeded
	Progress []abi.Progress // the first MaxReports of them
	Reports  int            // how many there were
	Metrics  []Metric       // sorted by name and labels
}

// Metric is what the values that a call reported of one series came to.
type Metric struct {
	Kind   abi.MetricKind    `json:"kind"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"` // the sum of a counter or histogram, the last value of a gauge
	Count  int               `json:"count"` // how often it was reported
}

// Series is the metric's name with its labels: name{label=value,...}.
func (m Metric) Series() string {
	if len(m.Labels) == 0 {
		return m.Name
	}
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
		pairs = append(pairs, k+"="+m.Labels[k])
	}
	return m.Name + "{" + strings.Join(pairs, ",") + "}"
}

// Probe is a host whose calls tell everything about themselves. Its methods are safe for concurrent use.
type Probe struct {
	host *host.Host

	mu    sync.Mutex
	calls map[string]map[string]*Metric // of those that run, by the id of the call and the series
	last  int
}

// NewProbe makes a host without a folder; its plugins come by [Probe.Load]. The caller must call [Probe.Close].
func NewProbe(ctx context.Context, cfg host.Config) (*Probe, error) {
	p := &Probe{calls: map[string]map[string]*Metric{}}
	cfg.Dir, cfg.OnEvent = "", p.event
	h, err := host.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p.host = h
	return p, nil
}

// Load makes the files of a plugin in a folder its current version. Calls that run stay on theirs. With pristine a plugin that keeps its
// state from call to call does not, so that calls cannot depend on each other.
func (p *Probe) Load(ctx context.Context, dir, name string, pristine bool) (host.PluginInfo, error) {
	src, err := host.ReadSource(dir, name, abi.DefaultLimits().Module, p.host.ScriptExtensions()...)
	if err != nil {
		return host.PluginInfo{}, err
	}
	if m := src.Manifest; pristine && m != nil && m.Taskhost != nil && m.Taskhost.Isolation == abi.IsolationReuse {
		m.Taskhost.Isolation = abi.IsolationPristine
	}
	if _, err := p.host.Swap(ctx, name, src); err != nil {
		return host.PluginInfo{}, err
	}
	return p.host.Inspect(name)
}

// Call makes one call and waits for its end. report, which may be nil, is called for each progress, as by [host.Host.Run]. Checkpoints
// that the plugin saves are accepted, and forgotten.
func (p *Probe) Call(ctx context.Context, call abi.Call, report func(abi.Progress)) Outcome {
	metrics := map[string]*Metric{}
	p.mu.Lock()
	p.last++
	call.Task = strconv.Itoa(p.last)
	p.calls[call.Task] = metrics
	p.mu.Unlock()
	if call.Save == nil {
		call.Save = func([]byte) error { return nil }
	}
	var o Outcome
	res, err := p.host.Run(ctx, call, func(x abi.Progress) {
		if o.Reports++; o.Reports <= MaxReports {
			o.Progress = append(o.Progress, x)
		}
		if report != nil {
			report(x)
		}
	})
	p.mu.Lock()
	delete(p.calls, call.Task)
	p.mu.Unlock()
	o.Result = res
	if err != nil {
		e := *abi.AsError(err)
		e.Task = "" // a number of the probe's own
		o.Err = &e
	}
	for _, series := range slices.Sorted(maps.Keys(metrics)) {
		o.Metrics = append(o.Metrics, *metrics[series])
	}
	return o
}

// event adds up what guests report. The host bounds the number of series.
func (p *Probe) event(e host.Event) {
	if e.Kind != host.EventMetric {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	metrics := p.calls[e.Task]
	if metrics == nil {
		return
	}
	one := Metric{Kind: e.Metric.Kind, Name: e.Metric.Name, Labels: e.Metric.Labels}
	m := metrics[one.Series()]
	if m == nil {
		m = &one
		metrics[one.Series()] = m
	}
	m.Count++
	if e.Metric.Kind == abi.MetricSet {
		m.Value = e.Metric.Value
	} else {
		m.Value += e.Metric.Value
	}
}

// Close interrupts calls that run, and frees everything.
func (p *Probe) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return p.host.Close(ctx)
}

// Inspect tells everything about a plugin that was loaded.
func (p *Probe) Inspect(name string) (host.PluginInfo, error) { return p.host.Inspect(name) }
