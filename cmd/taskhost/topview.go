package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// topRow is one line of a part.
type topRow struct {
	key    string // tells it from others
	name   string
	plugin string // what p pauses, if it is a plugin
	paused bool
	colour string
	task   *manager.Task
	cells  []string
}

// topColumn is a column of a part. Of a width of 0 it takes what is left.
type topColumn struct {
	title string
	width int
	right bool
}

var topColumns = [panels][]topColumn{
	panelRunning:  {{"ID", 12, false}, {"TASK", 24, false}, {"QUEUE", 10, false}, {"PROGRESS", 22, false}, {"FOR", 5, true}, {"", 0, false}},
	panelQueues:   {{"QUEUE", 24, false}, {"PENDING", 8, true}, {"RUNNING", 8, true}, {"BOUND", 8, true}, {"RATE", 10, true}, {"", 0, false}},
	panelFailures: {{"ID", 12, false}, {"TASK", 24, false}, {"AGO", 5, true}, {"TRIES", 5, true}, {"CODE", 12, false}, {"ERROR", 0, false}},
	panelPlugins: {{"PLUGIN", 20, false}, {"CALLS", 9, true}, {"ERRORS", 7, true}, {"TIME", 9, true}, {"TICKS", 8, true}, {"RUNNING", 7, true}, {"BOXES", 6, true},
		{"STATE", 0, false}},
}

// rows are the lines of a part, all of them.
func (m *top) rows(p topPanel) []topRow {
	_, words := m.filter()
	switch p {
	case panelRunning:
		return runningRows(matching(m.data.running, words))
	case panelFailures:
		return failureRows(matching(m.data.failures, words))
	case panelQueues:
		return queueRows(m.data.queues)
	}
	return m.pluginRows()
}

func runningRows(tasks []manager.Task) []topRow {
	rows := make([]topRow, len(tasks))
	for i := range tasks {
		t := &tasks[i]
		text := strings.TrimSpace(strings.TrimPrefix(progressText(*t), fmt.Sprintf("%3.0f%%", 100*t.Progress)))
		if t.Cause != "" {
			text = "is being stopped (" + oneLine(string(t.Cause)) + ")"
		}
		rows[i] = topRow{key: t.ID, task: t, cells: []string{shortID(t.ID), oneLine(taskLabel(*t)), t.Spec.Queue, topBar(t.Progress), since(t.StartedAt), text}}
	}
	return rows
}

// topBar is how far a task is.
func topBar(progress float64) string {
	const width = 15
	n := min(max(0, int(progress*width)), width)
	bar := strings.Repeat("=", n)
	if n > 0 && n < width {
		bar = bar[:n-1] + ">"
	}
	return fmt.Sprintf("[%-*s]%4.0f%%", width, bar, 100*progress)
}

func failureRows(tasks []manager.Task) []topRow {
	rows := make([]topRow, len(tasks))
	for i := range tasks {
		t := &tasks[i]
		code, text := "", ""
		if t.Error != nil {
			code, text = oneLine(string(t.Error.Code)), errorLine(stepError(t, t.Error))
		}
		rows[i] = topRow{key: t.ID, task: t, colour: red, cells: []string{shortID(t.ID), oneLine(taskLabel(*t)), since(t.FinishedAt), fmt.Sprint(t.Attempt), code, text}}
	}
	return rows
}

func queueRows(queues []manager.QueueStatus) []topRow {
	rows := make([]topRow, len(queues))
	for i, q := range queues {
		state, bound := "", "-"
		if q.Paused {
			state = "paused"
		}
		if q.Concurrency > 0 {
			bound = fmt.Sprint(q.Concurrency)
		}
		name := limitName(q.Limit)
		rows[i] = topRow{
			key: cmp.Or(q.Queue, "plugin "+q.Plugin), name: name, plugin: q.Plugin, paused: q.Paused,
			cells: []string{name, fmt.Sprint(q.Pending), fmt.Sprint(q.Running), bound, orDash(rateText(q.Rate)), state},
		}
		if q.Paused {
			rows[i].colour = yellow
		}
	}
	return rows
}

// pluginRows are the plugins, the one that took the most time first.
func (m *top) pluginRows() []topRow {
	list := slices.Clone(m.data.plugins)
	slices.SortStableFunc(list, func(a, b client.Plugin) int {
		return cmp.Or(cmp.Compare(b.Usage.Duration, a.Usage.Duration), cmp.Compare(a.Name, b.Name))
	})
	rows := make([]topRow, len(list))
	for i, p := range list {
		u := &p.Usage
		rows[i] = topRow{
			key: p.Name, name: "plugin " + p.Name, plugin: p.Name, paused: p.Disabled,
			cells: []string{p.Name, shortNumber(float64(u.Calls)), shortNumber(float64(u.Errors)), fmt.Sprintf("%.1fs", u.Duration.Seconds()),
				shortNumber(float64(u.Ticks)), fmt.Sprint(p.Running), fmt.Sprint(p.Instances), stateText(p.PluginInfo, map[string]bool{p.Name: p.Disabled})},
		}
		if p.Disabled || p.Error != "" {
			rows[i].colour = yellow
		}
	}
	return rows
}

// shortNumber is a number in at most five characters.
func shortNumber(v float64) string {
	units := []string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 || v >= 100 {
		return fmt.Sprintf("%.0f%s", v, units[i])
	}
	return fmt.Sprintf("%.1f%s", v, units[i])
}

// The smallest screen that shows something.
const (
	topMinWidth  = 40
	topMinHeight = 10
)

// View draws the screen.
func (m *top) View() tea.View {
	var lines []string
	switch {
	case m.width < topMinWidth || m.height < topMinHeight:
		lines = []string{m.fit("the terminal is too small")}
	case m.mode == modeHelp:
		lines = m.help()
	default:
		lines = m.screen()
	}
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	return v
}

// screen is what is shown most of the time.
func (m *top) screen() []string {
	lines := m.head()
	heights := m.heights(m.height - len(lines) - 1)
	for p := range panels {
		lines = append(lines, m.panel(p, heights[p])...)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	return append(lines, m.foot())
}

// heights shares the lines out: those that are not looked at get a few, the one that is gets what is left; where there is too little, it gets all.
func (m *top) heights(lines int) (heights [panels]int) {
	const least = 7 // of the one that is looked at
	left := lines
	for p := range panels {
		need := 2 + min(max(1, len(m.rows(p))), 4)
		if p != m.focus && left-need >= least {
			heights[p] = need
			left -= need
		}
	}
	heights[m.focus] = left
	return heights
}

// head is what stands above the parts.
func (m *top) head() []string {
	s := &m.data.stats
	state := m.paint(green, "live")
	last := m.fit("ended  " + m.throughput())
	switch {
	case m.failed != nil:
		state = m.paint(red, "no answer")
		last = m.fit(m.paint(red, errorLine(m.failed)))
	case m.data.at.IsZero():
		state = "…"
	}
	counts := s.Tasks.Counts
	return []string{
		m.fit(m.paint(bold, "taskhost top") + "  " + m.server.URL() + "  " + state + "  " + oneLine(s.Version) + "  up " + since(s.StartedAt)),
		m.fit(fmt.Sprintf("tasks  %d running (%d of %d slots), %d pending, %d completed, %d failed, %d cancelled",
			counts.Running, s.Tasks.Busy, s.Tasks.Slots, counts.Pending, counts.Completed, counts.Failed, counts.Cancelled)),
		last,
	}
}

// throughput is how many tasks ended in the last interval, and before.
func (m *top) throughput() string {
	h := m.data.history
	if len(h.Points) == 0 || h.Interval <= 0 {
		return "-"
	}
	most := 1
	points := h.Points[max(0, len(h.Points)-30):]
	for _, p := range points {
		most = max(most, p.Completed+p.Failed)
	}
	var line strings.Builder
	for _, p := range points {
		line.WriteRune([]rune("▁▂▃▄▅▆▇█")[(p.Completed+p.Failed)*7/most])
	}
	last, per := points[len(points)-1], float64(h.Interval)
	text := fmt.Sprintf("%s  %.1f/s completed, %.1f/s failed", line.String(), float64(last.Completed)/per, float64(last.Failed)/per)
	if last.P99 > 0 {
		text += fmt.Sprintf("; half took %.3gs, 99 of 100 %.3gs", last.P50, last.P99)
	}
	return text
}

// panel is a part in so many lines; 0: its title does not fit either.
func (m *top) panel(p topPanel, height int) []string {
	if height < 3 {
		return nil
	}
	rows := m.rows(p)
	title := fmt.Sprintf("%s %d", p, len(rows))
	if total := m.data.stats.Tasks.Counts.Running; p == panelRunning && total > len(rows) {
		title += fmt.Sprintf(" of %d", total)
	}
	if p == m.focus {
		title = m.paint(bold, "▶ "+title)
	} else {
		title = "  " + title
	}
	lines := []string{m.fit(title), m.fit(m.paint(dim, m.cells(p, nil, "  ")))}
	height -= 2
	at := m.at(p)
	first := min(m.first[p], at)
	first = max(first, at-height+1, 0)
	first = min(first, max(0, len(rows)-height))
	m.first[p] = first
	for i := first; i < min(len(rows), first+height); i++ {
		lines = append(lines, m.row(p, &rows[i], i == at && p == m.focus))
	}
	for range first + height - max(len(rows), first) {
		lines = append(lines, "")
	}
	return lines
}

func (m *top) row(p topPanel, r *topRow, chosen bool) string {
	mark := "  "
	if chosen {
		mark = "> "
	}
	line := m.fit(m.cells(p, r.cells, mark))
	switch {
	case chosen:
		return m.paint("7", line)
	case r.colour != "":
		return m.paint(r.colour, line)
	}
	return line
}

// cells puts a line together; nil: that of the titles.
func (m *top) cells(p topPanel, cells []string, mark string) string {
	var b strings.Builder
	b.WriteString(mark)
	left := m.width - len(mark)
	for i, c := range topColumns[p] {
		text := c.title
		if cells != nil {
			text = cells[i]
		}
		width := c.width
		if width == 0 {
			width = max(0, left)
		}
		text = ansi.Truncate(text, width, "…")
		pad := strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
		if c.right {
			text = pad + text
		} else {
			text += pad
		}
		b.WriteString(text)
		if left -= width + 1; i < len(topColumns[p])-1 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// foot is the last line.
func (m *top) foot() string {
	switch {
	case m.mode == modeConfirm:
		return m.fit(m.paint(bold, oneLine(m.confirm.ask)+" y/n"))
	case m.mode == modeFilter:
		return m.fit("/" + m.typing + "_   enter: use it, esc: leave it; words, or plugin:NAME queue:NAME name:NAME label:NAME=VALUE")
	case m.bad:
		return m.fit(m.paint(red, m.said))
	case m.said != "":
		return m.fit(m.paint(green, m.said))
	}
	text := "q quit  tab next part  ↑↓ choose  c cancel  r retry  p pause  / filter  ? help"
	if m.typed != "" {
		text = "filter: " + m.typed + "   " + text
	}
	return m.fit(text)
}

func (m *top) help() []string {
	return []string{
		m.fit(m.paint(bold, "taskhost top: keys")), "",
		m.fit("tab, ←, →        go to another part: running tasks, queues, failures, plugins"),
		m.fit("↑, ↓, k, j       choose a line; page up and down, home and end go further"),
		m.fit("c                cancel the running task that is chosen; it asks first"),
		m.fit("r                put the failed task that is chosen back into the queue"),
		m.fit("p                pause the queue or the plugin that is chosen, or let it go on"),
		m.fit("/                show only tasks with these words; plugin:NAME, queue:NAME, name:NAME and"),
		m.fit("                 label:NAME=VALUE select at the server"),
		m.fit("q, esc, ctrl-c   quit; the tasks go on"), "",
		m.fit("Plugins are sorted by the time that they took since the server started."), "",
		m.fit("any key goes back"),
	}
}

// fit cuts a line to the width of the screen.
func (m *top) fit(line string) string { return ansi.Truncate(line, m.width, "…") }

// paint colours text where there are colours.
func (m *top) paint(colour, text string) string {
	if !m.colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
