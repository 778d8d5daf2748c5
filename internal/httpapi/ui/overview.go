package ui

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// Rows of the lists on the overview.
const (
	runningShown = 8
	failedShown  = 8
)

type overviewView struct {
	base
	Stats   client.Stats
	Latest  client.Point // the newest one that is there
	Rate    string       // tasks that ended each second
	Plots   []plot
	Table   []tableRow
	Running []manager.Task
	Failed  []manager.Task
	Plugins []client.Plugin
}

// plot is one of the plots: what is drawn without a script, and what a script puts in its place.
type plot struct {
	ID, Title, Unit string
	Lines           []line
}

// Drawn tells whether there is something to draw yet.
func (p plot) Drawn() bool { return len(p.Lines) > 0 && p.Lines[0].Path != "" }

type line struct {
	Name, Class, Now string
	Path             string // of an SVG of 600 by 150
}

// tableRow is what was done in some minutes: the plots for those who cannot see them.
type tableRow struct {
	From                                    time.Time
	Submitted, Completed, Failed, Cancelled int
	P50, P99                                string
	Pending, Running                        int
}

func (s *server) overview(q *request) error {
	v := overviewView{base: q.base("overview", "Overview")}
	var err error
	if v.Stats, err = s.api.Stats(q.ctx()); err != nil {
		return err
	}
	history, err := s.api.History(q.ctx(), time.Time{})
	if err != nil {
		return err
	}
	running, err := s.api.List(q.ctx(), manager.Filter{Status: []manager.Status{manager.StatusRunning}, Limit: runningShown})
	if err != nil {
		return err
	}
	failed, err := s.api.List(q.ctx(), manager.Filter{Status: []manager.Status{manager.StatusFailed}, Limit: failedShown})
	if err != nil {
		return err
	}
	v.Running, v.Failed = running.Tasks, failed.Tasks
	if v.Plugins, err = s.api.Plugins(q.ctx()); err != nil {
		return err
	}
	if n := len(history.Points); n > 0 {
		v.Latest = history.Points[n-1]
	}
	seconds := float64(max(1, history.Interval))
	v.Rate = rate(float64(v.Latest.Completed+v.Latest.Failed+v.Latest.Cancelled) / seconds)
	v.Plots = plots(history.Points, seconds)
	v.Table = table(history.Points)
	return q.render(http.StatusOK, "overview", "now", &v)
}

func rate(f float64) string {
	if f >= 100 {
		return count(int(f + .5))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
}

func seconds(f float64) string {
	if f <= 0 {
		return "–"
	}
	return duration(time.Duration(f * float64(time.Second)))
}

func plots(points []client.Point, interval float64) []plot {
	per := func(get func(client.Point) int) func(client.Point) float64 {
		return func(p client.Point) float64 { return float64(get(p)) / interval }
	}
	number := func(f float64) string { return count(int(f)) }
	type series struct {
		name, class string
		format      func(float64) string
		get         func(client.Point) float64
	}
	all := []struct {
		id, title, unit string
		lines           []series
	}{
		{"throughput", "Throughput", "tasks a second", []series{
			{"submitted", "c1", rate, per(func(p client.Point) int { return p.Submitted })},
			{"completed", "c3", rate, per(func(p client.Point) int { return p.Completed })},
		}},
		{"latency", "Latency", "from submit to end", []series{
			{"p50", "c1", seconds, func(p client.Point) float64 { return p.P50 }},
			{"p99", "c4", seconds, func(p client.Point) float64 { return p.P99 }},
		}},
		{"queue", "Queue", "tasks", []series{
			{"pending", "c4", number, func(p client.Point) float64 { return float64(p.Pending) }},
			{"running", "c1", number, func(p client.Point) float64 { return float64(p.Running) }},
		}},
		{"errors", "Errors", "tasks a second", []series{
			{"failed", "c2", rate, per(func(p client.Point) int { return p.Failed })},
			{"cancelled", "c5", rate, per(func(p client.Point) int { return p.Cancelled })},
		}},
	}
	out := make([]plot, len(all))
	for i, a := range all {
		out[i] = plot{ID: a.id, Title: a.title, Unit: a.unit}
		most := 0.0
		for _, p := range points {
			for _, l := range a.lines {
				most = max(most, l.get(p))
			}
		}
		for _, l := range a.lines {
			now := "–"
			if len(points) > 0 {
				now = l.format(l.get(points[len(points)-1]))
			}
			out[i].Lines = append(out[i].Lines, line{Name: l.name, Class: l.class, Now: now, Path: svgPath(points, most, l.get)})
		}
	}
	return out
}

// svgPath draws points on 600 by 150 units, the newest at the right.
func svgPath(points []client.Point, most float64, get func(client.Point) float64) string {
	if len(points) < 2 {
		return ""
	}
	if most <= 0 {
		most = 1
	}
	var path strings.Builder
	step := 600 / float64(len(points)-1)
	for i, p := range points {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", verb, float64(i)*step, 148-get(p)/most*140)
	}
	return path.String()
}

// table sums points up over five minutes each, the newest first.
func table(points []client.Point) []tableRow {
	var rows []tableRow
	for _, p := range slices.Backward(points) {
		from := p.Time.Truncate(5 * time.Minute)
		if len(rows) == 0 || !rows[len(rows)-1].From.Equal(from) {
			rows = append(rows, tableRow{From: from, P50: seconds(p.P50), P99: seconds(p.P99), Pending: p.Pending, Running: p.Running})
		}
		r := &rows[len(rows)-1]
		r.Submitted += p.Submitted
		r.Completed += p.Completed
		r.Failed += p.Failed
		r.Cancelled += p.Cancelled
	}
	return rows
}

// span is a piece of the line of time that a task's attempts are drawn on, 1000 units wide.
type span struct {
	X, W  float64
	Class string
	Title string
}

func svgSpans(spans []span) template.HTML {
	var out strings.Builder
	out.WriteString(`<svg viewBox="0 0 1000 22" preserveAspectRatio="none" aria-hidden="true" focusable="false">`)
	for _, s := range spans {
		fmt.Fprintf(&out, `<rect x="%.2f" y="0" width="%.2f" height="22" class="%s"><title>%s</title></rect>`,
			s.X, max(s.W, 1.5), template.HTMLEscapeString(s.Class), template.HTMLEscapeString(s.Title))
	}
	out.WriteString(`</svg>`)
	return template.HTML(out.String()) //nolint:gosec // escaped above
}
