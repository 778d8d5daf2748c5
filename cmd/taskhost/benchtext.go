package main

import (
	"fmt"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// printBench prints a report for a person: what was measured, the start, and a table of the calls.
func (a *app) printBench(r *benchReport) error {
	f := &facts{app: a}
	f.line("function", oneLine(r.Function))
	f.line("input", fmt.Sprintf("%s in, %s out", bytesText(int64(r.InputBytes)), bytesText(int64(r.OutputBytes))))
	callers := "one call after the other"
	if r.Concurrency > 1 {
		callers = fmt.Sprintf("%d callers at once", r.Concurrency)
	}
	f.line("machine", fmt.Sprintf("%d cores, %s, %s", r.Cores, r.System, callers))
	for _, s := range r.Start {
		version := fmt.Sprintf("%s %s, %s", oneLine(s.Plugin), s.Digest.Short(), bytesText(s.Size))
		if s.Tools != "" {
			version += ", " + oneLine(s.Tools)
		}
		f.line("version", version)
		start := fmt.Sprintf("compiled in %s, from the cache in %s, first instance in %s",
			durationText(rounded(s.Compile)), durationText(rounded(s.Cached)), durationText(rounded(s.Instance)))
		if s.Restore > 0 {
			start += fmt.Sprintf(", found and put back in %s", durationText(rounded(s.Restore)))
		}
		f.line("start", start)
	}
	f.text.WriteByte('\n')
	if _, err := fmt.Fprint(a.stdout, f.text.String()); err != nil {
		return err
	}
	if err := a.benchTable(r); err != nil {
		return err
	}
	f = &facts{app: a}
	f.list("", a.benchNotes(r))
	f.list("hints", hintLines(abi.PluginInfo{Hints: r.Hints}))
	if f.text.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprint(a.stdout, "\n"+f.text.String())
	return err
}

// benchTable prints a row for each version and isolation.
func (a *app) benchTable(r *benchReport) error {
	t := &table{}
	several := len(r.Start) > 1
	head := []string{"ISOLATION", "CALLS/S", "P50", "P99", "MAX", "INSIDE", "AROUND", "TICKS", "PEAK MEMORY", "CALLS", "RATIO"}
	if several {
		head = append([]string{"VERSION"}, head...)
	}
	t.add(head...)
	for _, w := range r.Rows {
		cells := []string{string(w.Isolation), "-", "-", "-", "-", "-", "-", "-", "-", fmt.Sprint(w.Calls), "-"}
		if w.Calls > 0 {
			cells = []string{
				string(w.Isolation), perSecondText(w.PerSecond), durationText(rounded(w.P50)), durationText(rounded(w.P99)), durationText(rounded(w.Max)),
				durationText(rounded(w.Inside)), durationText(rounded(w.Around)), fmt.Sprintf("%.0f", w.Ticks), bytesText(int64(w.Peak)), fmt.Sprint(w.Calls), "1",
			}
		}
		if w.Ratio > 0 {
			cells[10] = fmt.Sprintf("%s (%s to %s)", ratioText(w.Ratio), ratioText(w.RatioMin), ratioText(w.RatioMax))
		}
		if several {
			cells = append([]string{tail(oneLine(w.Plugin), 32)}, cells...)
		}
		t.add(cells...)
	}
	return t.write(a.stdout, func(row, _ int, cell string) string {
		if row == 0 {
			return a.paint(a.stdout, bold, cell)
		}
		return cell
	})
}

// benchNotes tell what a reader of the table has to know.
func (a *app) benchNotes(r *benchReport) (notes []string) {
	if r.Partial {
		notes = append(notes, a.paint(a.stdout, yellow, "interrupted: these are the figures so far"))
	}
	for _, w := range r.Rows {
		name := string(w.Isolation)
		if len(r.Start) > 1 {
			name = oneLine(w.Plugin) + ", " + name
		}
		if w.Errors > 0 {
			notes = append(notes, a.paint(a.stdout, red, fmt.Sprintf("%s: %d calls failed and are not among the figures; the first: %s", name, w.Errors, oneLine(w.Error))))
		}
		if w.ownInstances() {
			notes = append(notes, hanging(name+": "+oneLine(w.Sandbox))...)
		}
	}
	return notes
}

// tail shortens text to its last n runes.
func tail(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return "…" + string(runes[len(runes)-n+1:])
}

// rounded keeps the three digits that matter of a short duration.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

func perSecondText(perSecond float64) string {
	if perSecond < 100 {
		return fmt.Sprintf("%.2f", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
}

// ratioText is a ratio with three digits that matter.
func ratioText(r float64) string {
	switch {
	case r >= 100:
		return fmt.Sprintf("%.0f", r)
	case r >= 10:
		return fmt.Sprintf("%.1f", r)
	case r < 0.1:
		return fmt.Sprintf("%.4f", r)
	}
	return fmt.Sprintf("%.2f", r)
}
