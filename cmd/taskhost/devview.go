package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/cases"
)

// devView shows runs: each on a clean screen of a terminal, as lines elsewhere, or as one JSON object each. One goroutine uses it at a time.
type devView struct {
	app    *app
	out    io.Writer
	screen bool // a terminal
	json   bool

	status  string    // the line at the bottom of the screen
	painted time.Time // when it was
}

func newDevView(a *app, asJSON bool) *devView {
	v := &devView{app: a, out: a.stdout, json: asJSON}
	if isTerminal(a.stdout) && !asJSON && a.getenv("TERM") != "dumb" {
		v.screen, v.out = true, returning{a.stdout}
	}
	return v
}

// returning writes to a terminal that does not go back to the first column by itself.
type returning struct{ w io.Writer }

func (r returning) Write(p []byte) (int, error) {
	if _, err := r.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// say changes the line at the bottom of the screen.
func (v *devView) say(text string) {
	if !v.screen || text == v.status {
		return
	}
	v.status, v.painted = text, time.Now()
	width := 80
	if f, ok := v.app.stdout.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 1 {
			width = w
		}
	}
	fmt.Fprintf(v.out, "\r\x1b[K%s", v.app.paint(v.app.stdout, dim, cut(text, width-1)))
}

func (v *devView) building(r *devRun) { v.say(r.change.causeText() + ": building …") }

func (v *devView) loading(r *devRun) {
	v.say(fmt.Sprintf("%s: built in %s, loading …", r.change.causeText(), durationText(r.buildTime)))
}

// calling tells, where runs are lines, what was built: the call may last.
func (v *devView) calling(r *devRun) {
	v.say("running …")
	if !v.screen && !v.json {
		fmt.Fprint(v.out, v.head(r))
	}
}

// progress shows how far the call is.
func (v *devView) progress(p abi.Progress) {
	if v.screen && time.Since(v.painted) > 100*time.Millisecond {
		v.say("running … " + reportText(p))
	}
}

// reportText is one report of progress.
func reportText(p abi.Progress) string {
	text := fmt.Sprintf("%.0f%%", 100*p.Fraction)
	if p.Total > 0 {
		text += fmt.Sprintf(" %d/%d", p.Step, p.Total)
	}
	if p.Message != "" {
		text += " " + cut(oneLine(p.Message), 60)
	}
	return text
}

// result shows what came of the call; that of the cases follows.
func (v *devView) result(r *devRun) {
	if v.json {
		return
	}
	text := v.input(r) + v.output(r) + v.facts(r)
	if v.screen {
		text = "\x1b[2J\x1b[H" + v.head(r) + text
		v.status = ""
	}
	fmt.Fprint(v.out, text)
}

// finish ends what is shown of a run.
func (v *devView) finish(r *devRun) {
	if v.json {
		e := json.NewEncoder(v.out)
		e.SetEscapeHTML(false)
		_ = e.Encode(newDevJSON(r)) // nobody could be told
		return
	}
	var b strings.Builder
	if r.outcome == nil { // it came to no call
		if v.screen {
			b.WriteString("\x1b[2J\x1b[H")
			v.status = ""
		}
		b.WriteString(v.head(r) + v.problem(r))
	}
	if r.cases != nil {
		b.WriteString(v.caseLines(r.cases))
	}
	if r.outcome != nil || !v.screen {
		b.WriteByte('\n')
	}
	fmt.Fprint(v.out, b.String())
	v.say("waiting for changes; q ends, r runs it again")
}

// close takes the line at the bottom away.
func (v *devView) close() {
	if v.screen {
		fmt.Fprint(v.out, "\r\x1b[K")
	}
}

func (v *devView) paint(colour, text string) string { return v.app.paint(v.app.stdout, colour, text) }

// head is what is known before the call.
func (v *devView) head(r *devRun) string {
	text := fmt.Sprintf("%s  run %d, %s", v.paint(bold, r.name), r.number, oneLine(r.change.causeText()))
	var b strings.Builder
	b.WriteString(text + "\n")
	if r.built && r.status != devBuildFailed {
		fmt.Fprintf(&b, "built in %s, %s", durationText(r.buildTime), bytesText(r.size))
		if r.status != devRefused {
			fmt.Fprintf(&b, ", loaded in %s", durationText(r.loadTime))
		}
		b.WriteByte('\n')
	}
	if r.buildText != "" && r.status != devBuildFailed { // warnings
		b.WriteString(v.compilerText(r.buildText))
	}
	return b.String()
}

// compilerText is what a compiler said, as it is but for what could steer the terminal.
func (v *devView) compilerText(text string) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		if n++; n > maxShownLines {
			b.WriteString("…\n")
			break
		}
		b.WriteString(safeLine(strings.TrimRight(line, "\r\n")) + "\n")
	}
	return b.String()
}

// problem is why there was no call.
func (v *devView) problem(r *devRun) string {
	var b strings.Builder
	b.WriteString(v.compilerText(r.buildText))
	what := map[devStatus]string{devBuildFailed: "the build failed", devRefused: "it cannot be loaded", devNoSample: "there is no sample"}[r.status]
	fmt.Fprintf(&b, "%s: %s\n", v.paint(red, what), oneLine(r.err.Error()))
	if e := abi.AsError(r.err); e.Detail != "" {
		b.WriteString(v.app.failureText("    ", cases.Outcome{Err: e}))
	}
	if r.stays {
		b.WriteString("the version before goes on\n")
	}
	return b.String()
}

// input is what goes in.
func (v *devView) input(r *devRun) string {
	text := fmt.Sprintf("%s (%s)", r.label, bytesText(int64(r.input)))
	if r.function != "" {
		text = oneLine(r.function) + " of " + text
	}
	return text + "\n"
}

// maxShownLines bounds what is shown of an output, or of a compiler's text.
const maxShownLines = 200

// output is what came out, and how it differs from what came before.
func (v *devView) output(r *devRun) string {
	o := r.outcome
	if o.Err != nil {
		text := v.paint(red, string(r.status)+" ("+string(o.Err.Code)+")") + ": " + oneLine(o.Err.Message)
		if r.status == devCancelled {
			text = v.paint(yellow, "cancelled")
		}
		return "\n" + text + "\n" + v.app.failureText("    ", *o) + "\n"
	}
	var b strings.Builder
	b.WriteByte('\n')
	b.WriteString(shownOutput(o.Output))
	b.WriteByte('\n')
	switch {
	case r.changed:
		b.WriteString(v.paint(bold, "the output changed") + "\n" + v.app.diffText("", r.diff))
	case r.compared:
		b.WriteString(v.paint(dim, "the same output as before") + "\n")
	}
	return b.String()
}

// shownOutput is an output for a person: text with its last line ended, or the head of anything else.
func shownOutput(out []byte) string {
	const head = 256
	switch {
	case len(out) == 0:
		return "(no output)\n"
	case !utf8.Valid(out) || bytes.IndexByte(out, 0) >= 0:
		return fmt.Sprintf("(%s, no text)  % x%s\n", bytesText(int64(len(out))), out[:min(len(out), head)], map[bool]string{true: " …"}[len(out) > head])
	}
	var b strings.Builder
	n, size := 0, 0
	for line := range bytes.Lines(out) {
		if n++; n > maxShownLines || size > maxBuildText {
			return b.String() + fmt.Sprintf("… %s in all\n", bytesText(int64(len(out))))
		}
		text := safeLine(strings.TrimRight(string(line), "\r\n"))
		size += len(text)
		b.WriteString(cut(text, 4000) + "\n")
	}
	return b.String()
}

// facts are what the call cost and told.
func (v *devView) facts(r *devRun) string {
	o := r.outcome
	u := o.Usage
	parts := []string{string(r.status) + " in " + durationText(u.Duration)}
	if u.Ticks > 0 {
		parts = append(parts, fmt.Sprintf("%d ticks", u.Ticks))
	}
	if u.PeakMemory > 0 {
		parts = append(parts, "peak memory "+bytesText(int64(u.PeakMemory)))
	}
	if r.shown > 0 {
		parts = append(parts, "shown "+durationText(r.shown)+" after the save")
	}
	var b strings.Builder
	colour := green
	if o.Err != nil {
		colour = red
	}
	b.WriteString(v.paint(colour, parts[0]) + strings.Join(append([]string{""}, parts[1:]...), ", ") + "\n")
	if o.Reports > 0 {
		fmt.Fprintf(&b, "progress %d reports, the last %s\n", o.Reports, reportText(o.Progress[len(o.Progress)-1]))
	}
	for _, m := range o.Metrics {
		fmt.Fprintf(&b, "metric %s = %v", oneLine(m.Series()), m.Value)
		if m.Count > 1 {
			fmt.Fprintf(&b, " (%d times)", m.Count)
		}
		b.WriteByte('\n')
	}
	if o.Err == nil {
		b.WriteString(v.app.logText("", o.Log))
	}
	for _, h := range r.info.Hints {
		fmt.Fprintf(&b, "%s %s\n", v.paint(yellow, "hint"), oneLine(h))
	}
	return b.String()
}

// caseLines are what came of the cases: one line when all pass.
func (v *devView) caseLines(s *testJSON) string {
	if s.Failed == 0 {
		return fmt.Sprintf("%s cases %d passed\n", v.paint(green, "✓"), s.Passed)
	}
	const shown = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%s cases %d passed, %d failed; taskhost test shows more\n", v.paint(red, "✗"), s.Passed, s.Failed)
	n := 0
	for _, c := range s.Cases {
		if c.Status != cases.Failed {
			continue
		}
		if n++; n > shown {
			break
		}
		fmt.Fprintf(&b, "    %s: %s\n", c.Name, oneLine(c.Problems[0].Text))
	}
	return b.String()
}
