package main

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// benchReport is what a bench measured. Durations are in nanoseconds.
type benchReport struct {
	Plugin      string       `json:"plugin"`
	Function    string       `json:"function"`
	InputBytes  int          `json:"input_bytes"`
	OutputBytes int          `json:"output_bytes"` // of the last call
	Concurrency int          `json:"concurrency"`
	Cores       int          `json:"cores"`
	System      string       `json:"system"`
	Version     string       `json:"taskhost"`
	Start       []benchStart `json:"start"` // of each version
	Rows        []*benchRow  `json:"rows"`
	Hints       []string     `json:"hints,omitempty"`
	Partial     bool         `json:"partial,omitempty"` // it was interrupted
}

// benchStart is what it takes until a version can be called.
type benchStart struct {
	Plugin   string        `json:"plugin"` // its name, or its file
	Digest   abi.Digest    `json:"version"`
	Tools    string        `json:"toolchain,omitempty"`
	Size     int64         `json:"size"`
	Compile  time.Duration `json:"compile_ns"`  // with an empty cache
	Cached   time.Duration `json:"cached_ns"`   // the same from the cache
	Instance time.Duration `json:"instance_ns"` // the first instance, its start included
	Restore  time.Duration `json:"restore_ns"`  // to find an instance and put it back after a call; 0: it was not measured
}

// benchRow is one version with one isolation.
type benchRow struct {
	Plugin    string        `json:"plugin"`
	Isolation abi.Isolation `json:"isolation"`
	Sandbox   string        `json:"sandbox"` // how it was reached
	Calls     int64         `json:"calls"`
	Errors    int64         `json:"errors"`
	Error     string        `json:"error,omitempty"` // the first
	Time      time.Duration `json:"time_ns"`         // measured
	PerSecond float64       `json:"calls_per_second"`
	P50       time.Duration `json:"p50_ns"`
	P90       time.Duration `json:"p90_ns"`
	P99       time.Duration `json:"p99_ns"`
	Max       time.Duration `json:"max_ns"`
	Inside    time.Duration `json:"inside_p50_ns"` // from the call's start to its end in the sandbox
	Around    time.Duration `json:"around_p50_ns"` // the rest: finding an instance, and putting it back
	Ticks     float64       `json:"ticks"`         // of a call, on average
	Peak      uint64        `json:"peak_memory_bytes"`
	Ratio     float64       `json:"ratio,omitempty"` // calls a second, compared with the row that it is to be compared with: the median of the turns
	RatioMin  float64       `json:"ratio_min,omitempty"`
	RatioMax  float64       `json:"ratio_max,omitempty"`

	host  *host.Host
	call  abi.Call
	all   samples
	rates []float64 // of its turns, 0 where there was none
}

// samples are what callers saw of their calls.
type samples struct {
	latency, inside, around histogram
	ticks                   uint64
	peak                    uint64
	output                  int
	errors                  int64
	err                     error // the first
}

func (s *samples) add(res *abi.Result, took time.Duration) {
	s.latency.add(took)
	s.inside.add(res.Usage.Duration)
	s.around.add(took - res.Usage.Duration - res.Usage.Wait)
	s.ticks += res.Usage.Ticks
	s.peak = max(s.peak, res.Usage.PeakMemory)
	s.output = len(res.Output)
}

func (s *samples) merge(o *samples) {
	s.latency.merge(&o.latency)
	s.inside.merge(&o.inside)
	s.around.merge(&o.around)
	s.ticks += o.ticks
	s.peak = max(s.peak, o.peak)
	s.errors += o.errors
	if o.latency.n > 0 {
		s.output = o.output
	}
	if s.err == nil {
		s.err = o.err
	}
}

// bench measures. When ctx ends the report has what there is so far, beside the error.
func (a *app) bench(ctx context.Context, o *benchOrder) (_ *benchReport, err error) {
	cache, err := os.MkdirTemp("", "taskhost-bench-")
	if err != nil {
		return nil, fileError("make a folder for compiled code", err)
	}
	defer os.RemoveAll(cache)
	cfg := a.hostConfig("")
	cfg.CacheDir, cfg.PluginConfig = cache, o.config
	cfg.MaxInstances, cfg.IdleTimeout = max(o.callers, 4*runtime.GOMAXPROCS(0)), time.Hour
	r := &benchReport{
		Plugin: o.subjects[0].label, InputBytes: len(o.input), Concurrency: o.callers, Cores: runtime.GOMAXPROCS(0),
		System: runtime.GOOS + "/" + runtime.GOARCH, Version: version,
	}
	for _, s := range o.subjects {
		start, err := s.start(ctx, cfg)
		if err != nil {
			return nil, err
		}
		r.Start = append(r.Start, start)
	}
	defer func() {
		for _, row := range r.Rows {
			if closed := row.host.Close(context.WithoutCancel(ctx)); err == nil {
				err = closed
			}
		}
	}()
	for _, isolation := range o.isolations {
		for _, s := range o.subjects {
			cfg.Isolation = isolation
			if err := r.addRow(ctx, o, s, cfg); err != nil {
				return nil, err
			}
		}
	}
	longest, err := r.warmUp(ctx, o)
	if err != nil {
		return nil, err
	}
	if a.verbose > 0 || isTerminal(a.stderr) {
		a.console.printf("taskhost: measuring; an interrupt shows the figures so far\n")
	}
	r.measure(ctx, o, longest)
	r.finish(len(o.subjects))
	if ctx.Err() != nil {
		r.Partial = true
		return r, context.Cause(ctx)
	}
	return r, nil
}

// start loads a subject twice, with an empty cache and with what that has left, and tells what it took.
func (s subject) start(ctx context.Context, cfg host.Config) (benchStart, error) {
	out := benchStart{Plugin: s.label}
	for _, compile := range []*time.Duration{&out.Compile, &out.Cached} {
		var load, instance time.Duration
		cfg.OnEvent = func(e host.Event) {
			switch {
			case e.Kind == host.EventLoad:
				load = e.Duration
			case e.Kind == host.EventInstantiate && instance == 0:
				instance = e.Duration
			}
		}
		h, err := s.open(ctx, cfg)
		if err != nil {
			return out, err
		}
		p, err := h.Inspect(s.name)
		if err := h.Close(context.WithoutCancel(ctx)); err != nil {
			return out, err
		}
		if err == nil && p.State == host.StateRefused {
			err = &abi.Error{Code: abi.CodeRefused, Message: p.Error, Plugin: s.name}
		}
		if err != nil {
			return out, err
		}
		out.Digest, out.Size, out.Tools = p.Digest, p.Size, p.Toolchain
		*compile, out.Instance = load-instance, instance
	}
	return out, nil
}

// addRow makes the host of a row. A command has no reuse: it ends after each call.
func (r *benchReport) addRow(ctx context.Context, o *benchOrder, s subject, cfg host.Config) error {
	h, err := s.open(ctx, cfg)
	if err != nil {
		return err
	}
	p, err := h.Inspect(s.name)
	if err == nil && p.Form == host.FormWASI && cfg.Isolation == abi.IsolationReuse && len(o.isolations) > 1 {
		return h.Close(context.WithoutCancel(ctx))
	}
	row := &benchRow{Plugin: s.label, Isolation: cfg.Isolation, Sandbox: p.Sandbox, host: h}
	row.call = abi.Call{Plugin: s.name, Function: o.function, Input: o.input}
	r.Rows = append(r.Rows, row)
	if r.Function = o.function; o.function == "" {
		r.Function = p.Default
	}
	return err
}

// warmUp calls each row for a tenth of its time, and at least once from each caller. The first call that fails ends the bench: nobody
// wants to know how quickly a plugin fails.
func (r *benchReport) warmUp(ctx context.Context, o *benchOrder) (longest time.Duration, err error) {
	for _, row := range r.Rows {
		var s samples
		row.turn(ctx, o.callers, o.callers, 0, &s)
		if s.err != nil {
			return 0, s.err
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		longest = max(longest, s.latency.quantile(0.5))
		if o.calls == 0 {
			row.turn(ctx, o.callers, 0, min(o.time/10, time.Second), &s)
		} else {
			row.turn(ctx, o.callers, min(o.calls/10, 1000), 0, &s)
		}
	}
	return longest, nil
}

// mostTurns is how often each row has its turn. What disturbs the machine for a while disturbs all rows.
const mostTurns = 10

// measure lets the rows take turns, there and back.
func (r *benchReport) measure(ctx context.Context, o *benchOrder, longest time.Duration) {
	turns := int(min(max(o.time/(4*max(longest, 1)), 1), mostTurns))
	if o.calls > 0 {
		turns = min(max(o.calls/(4*o.callers), 1), mostTurns)
	}
	for turn := range turns {
		calls := o.calls*(turn+1)/turns - o.calls*turn/turns
		rows := slices.Clone(r.Rows)
		if turn%2 == 1 {
			slices.Reverse(rows)
		}
		for _, row := range rows {
			before := row.all.latency.n
			took := row.turn(ctx, o.callers, calls, o.time/time.Duration(turns), &row.all)
			row.Time += took
			rate := 0.0
			if n := row.all.latency.n - before; n > 0 && ctx.Err() == nil {
				rate = float64(n) / took.Seconds()
			}
			row.rates = append(row.rates, rate)
		}
	}
}

// turn calls from several callers at once: so often as calls says, or, if that is 0, until the time is over, and at least once. It adds
// what they saw to s, and returns how long it took. Calls that ctx ended count for nothing.
func (w *benchRow) turn(ctx context.Context, callers, calls int, d time.Duration, s *samples) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	var left atomic.Int64
	left.Store(int64(calls))
	seen := make([]samples, callers)
	var wg sync.WaitGroup
	began := time.Now()
	for k := range callers {
		wg.Go(func() {
			mine := &seen[k]
			for at := time.Now(); ; {
				if calls > 0 && left.Add(-1) < 0 {
					return
				}
				res, err := w.host.Run(ctx, w.call, nil)
				now := time.Now()
				switch {
				case ctx.Err() != nil:
					return
				case err != nil:
					mine.errors++
					if mine.err == nil {
						mine.err = err
					}
				default:
					mine.add(&res, now.Sub(at))
				}
				if at = now; calls == 0 && now.Sub(began) >= d {
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	for k := range seen {
		s.merge(&seen[k])
	}
	return took
}

// finish makes figures of the samples. Rows of one isolation are compared with the first version's, else rows with the first one.
func (r *benchReport) finish(versions int) {
	for k, row := range r.Rows {
		s := &row.all
		row.Calls, row.Errors = s.latency.n, s.errors
		if s.err != nil {
			row.Error = s.err.Error()
		}
		if row.Calls > 0 {
			row.PerSecond = float64(row.Calls) / row.Time.Seconds()
			row.Ticks = float64(s.ticks) / float64(row.Calls)
			r.OutputBytes = s.output
		}
		row.P50, row.P90, row.P99, row.Max = s.latency.quantile(0.5), s.latency.quantile(0.9), s.latency.quantile(0.99), s.latency.max
		row.Inside, row.Around, row.Peak = s.inside.quantile(0.5), s.around.quantile(0.5), s.peak
		first := 0
		if versions > 1 {
			first = k - k%versions
		}
		if k != first {
			row.compare(r.Rows[first])
		}
		if row.restored() {
			r.Start[k%versions].Restore = row.Around
		}
		if p, err := row.host.Inspect(row.call.Plugin); err == nil {
			for _, h := range p.Hints {
				if !slices.Contains(r.Hints, h) {
					r.Hints = append(r.Hints, h)
				}
			}
		}
	}
}

// restored tells whether the row's instances were put back after each call.
func (w *benchRow) restored() bool {
	return w.Isolation == abi.IsolationPristine && !w.ownInstances() && w.Calls > 0
}

// ownInstances tells whether each call of the row had an instance of its own, though that was not wanted.
func (w *benchRow) ownInstances() bool {
	return w.Isolation != abi.IsolationFresh && strings.HasPrefix(w.Sandbox, "an instance for each call")
}

// compare takes the ratio of each turn to the other row's turn beside it, and of these the median and the ends.
func (w *benchRow) compare(o *benchRow) {
	var ratios []float64
	for k := range w.rates {
		if w.rates[k] > 0 && o.rates[k] > 0 {
			ratios = append(ratios, w.rates[k]/o.rates[k])
		}
	}
	if len(ratios) == 0 {
		return
	}
	slices.Sort(ratios)
	w.Ratio, w.RatioMin, w.RatioMax = ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1]
}
