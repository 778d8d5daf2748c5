package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// Problem is one thing that did not come as the case wants it.
type Problem struct {
	Text string `json:"text"`           // one line
	Diff string `json:"diff,omitempty"` // lines: - wanted, + what came
}

// Check compares what came of a case's call with what must come of it. No problem: the case passes.
func (c *Case) Check(o Outcome) []Problem {
	var found []Problem
	add := func(format string, args ...any) { found = append(found, Problem{Text: fmt.Sprintf(format, args...)}) }
	s := &c.Spec
	switch {
	case o.Err != nil && s.Error == nil:
		add("the call failed (%s): %s", o.Err.Code, o.Err.Message)
	case s.Error != nil:
		if text := checkError(s.Error, o.Err); text != "" {
			add("%s", text)
		}
	case c.HasWant:
		if p, ok := c.checkOutput(o.Output); !ok {
			found = append(found, p)
		}
	case s.Progress == nil && s.Metrics == nil && s.TicksMax == 0 && s.Log == nil:
		add("there is nothing to compare with: --update writes the output into %s", c.Output)
	}
	if s.Progress != nil {
		if text := s.Progress.check(o); text != "" {
			add("%s", text)
		}
	}
	for _, series := range slices.Sorted(maps.Keys(s.Metrics)) {
		if text := checkMetric(series, s.Metrics[series], o.Metrics); text != "" {
			add("%s", text)
		}
	}
	if s.TicksMax > 0 && o.Usage.Ticks > s.TicksMax {
		add("it took %d ticks, more than the %d of ticks_max", o.Usage.Ticks, s.TicksMax)
	}
	for _, part := range s.Log {
		if !slices.ContainsFunc(o.Log, func(l abi.LogLine) bool { return strings.Contains(l.Text, part) }) {
			add("none of the last lines of its log contains %q", part)
		}
	}
	return found
}

func checkError(want *WantError, got *abi.Error) string {
	switch {
	case got == nil:
		return "the call succeeded; it must fail"
	case want.Code != "" && got.Code != want.Code:
		return fmt.Sprintf("the error is %s (%s), not %s", got.Code, got.Message, want.Code)
	case !strings.Contains(got.Message, want.Contains):
		return fmt.Sprintf("the error does not contain %q: %s", want.Contains, got.Message)
	}
	return ""
}

// checkOutput compares the output. What is not JSON is compared as bytes.
func (c *Case) checkOutput(got []byte) (Problem, bool) {
	if bytes.Equal(c.Want, got) {
		return Problem{}, true
	}
	if c.asJSON() {
		if want, err := canonical(c.Want); err != nil {
			return Problem{Text: c.Output + " is no JSON: " + problem(err), Diff: Diff(c.Want, got)}, false
		} else if is, err := canonical(got); err == nil {
			return Problem{Text: "the output differs", Diff: Diff(want, is)}, bytes.Equal(want, is)
		}
		return Problem{Text: "the output is no JSON", Diff: Diff(c.Want, got)}, false
	}
	return Problem{Text: "the output differs", Diff: Diff(c.Want, got)}, false
}

// canonical writes JSON with one key a line, the keys sorted, and equal numbers alike.
func canonical(data []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the end")
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(alike(v))
	return b.Bytes(), err
}

// alike writes numbers that are equal in one way.
func alike(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = alike(v[k])
		}
	case []any:
		for i := range v {
			v[i] = alike(v[i])
		}
	case json.Number:
		return plainNumber(v)
	}
	return v
}

// plainNumber writes a number as an integer where it is one of reasonable length, else in the shortest form of a float64.
func plainNumber(n json.Number) json.Number {
	if len(n) > 40 {
		return n
	}
	f, err := n.Float64()
	if err != nil || f > 1e20 || f < -1e20 || f != 0 && f < 1e-20 && f > -1e-20 {
		return n
	}
	if r, ok := new(big.Rat).SetString(n.String()); ok && r.IsInt() {
		return json.Number(r.Num().String())
	}
	text, err := json.Marshal(f)
	if err != nil {
		return n
	}
	return json.Number(text)
}

func (w *WantProgress) check(o Outcome) string {
	if w.Reports == nil {
		switch {
		case o.Reports < w.Min:
			return fmt.Sprintf("progress was reported %d times, less than %d", o.Reports, w.Min)
		case w.Max > 0 && o.Reports > w.Max:
			return fmt.Sprintf("progress was reported %d times, more than %d", o.Reports, w.Max)
		}
		return ""
	}
	for i, want := range w.Reports[:min(len(w.Reports), len(o.Progress))] {
		if text := want.check(o.Progress[i]); text != "" {
			return fmt.Sprintf("progress report %d: %s", i+1, text)
		}
	}
	if o.Reports != len(w.Reports) {
		return fmt.Sprintf("progress was reported %d times, not %d", o.Reports, len(w.Reports))
	}
	return ""
}

func (w WantReport) check(got abi.Progress) string {
	switch {
	case w.Fraction != nil && !near(*w.Fraction, got.Fraction):
		return fmt.Sprintf("the fraction is %v, not %v", got.Fraction, *w.Fraction)
	case w.Step != nil && *w.Step != got.Step:
		return fmt.Sprintf("the step is %d, not %d", got.Step, *w.Step)
	case w.Total != nil && *w.Total != got.Total:
		return fmt.Sprintf("the total is %d, not %d", got.Total, *w.Total)
	case w.Message != nil && *w.Message != got.Message:
		return fmt.Sprintf("the message is %q, not %q", got.Message, *w.Message)
	}
	return ""
}

func checkMetric(series string, want WantMetric, metrics []Metric) string {
	name, labels, _ := parseSeries(series)
	var value float64
	var count int
	for _, m := range metrics {
		if m.Name == name && (labels == nil || maps.Equal(labels, m.Labels)) {
			value, count = value+m.Value, count+m.Count
		}
	}
	switch {
	case count == 0 && (want.Count == nil || *want.Count != 0):
		return fmt.Sprintf("the metric %s was not reported", series)
	case want.Value != nil && !near(*want.Value, value):
		return fmt.Sprintf("the metric %s is %v, not %v", series, value, *want.Value)
	case want.Count != nil && *want.Count != count:
		return fmt.Sprintf("the metric %s was reported %d times, not %d", series, count, *want.Count)
	}
	return ""
}
