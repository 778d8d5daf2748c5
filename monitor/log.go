package monitor

import (
	"context"
	"log/slog"
	"strings"

	"github.com/taskhost/taskhost/manager"
)

// logTask writes one line for a change of state of a task. Progress is none.
func (m *Monitor) logTask(e manager.Event) {
	level := slog.LevelDebug
	switch {
	case e.Kind == manager.EventProgress:
		return
	case e.Kind == manager.EventError:
		level = slog.LevelError
	case e.Kind == manager.EventRetry, e.Kind == manager.EventLost, e.Kind == manager.EventReject,
		e.Kind == manager.EventFinish && e.Task.Status == manager.StatusFailed:
		level = slog.LevelWarn
	case e.Kind == manager.EventFinish:
		level = slog.LevelInfo
	}
	ctx := context.Background()
	if !m.log.Enabled(ctx, level) {
		return
	}
	attrs := taskAttrs(e)
	if trace := m.tracing.traceID(&e.Task); trace != "" {
		attrs = append(attrs, slog.String("trace_id", trace))
	}
	m.log.LogAttrs(ctx, level, "task "+string(e.Kind), attrs...)
}

// taskAttrs are what a line tells of a task: which, what it runs, where it stands, and the error.
func taskAttrs(e manager.Event) []slog.Attr {
	t := &e.Task
	attrs := make([]slog.Attr, 0, 10)
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("task", t.ID)
	add("name", t.Spec.Name)
	add("status", string(t.Status))
	add("cause", string(t.Cause))
	var plugins, functions []string
	for _, s := range t.Spec.Steps {
		plugins = append(plugins, s.Plugin)
		if s.Function != "" {
			functions = append(functions, s.Function)
		}
	}
	if err := t.Error; err != nil && err.Plugin != "" { // the step that failed says it better
		plugins, functions = []string{err.Plugin}, []string{err.Func}
	}
	add("plugin", strings.Join(plugins, ","))
	add("function", strings.Join(functions, ","))
	if t.Attempt > 1 {
		attrs = append(attrs, slog.Int("attempt", t.Attempt))
	}
	switch {
	case e.Error != nil:
		add("code", codeLabel(e.Error))
		add("error", e.Error.Error())
	case t.Error != nil:
		add("code", codeLabel(t.Error))
		add("error", t.Error.Message)
	}
	if t.Status.Final() {
		attrs = append(attrs, slog.Duration("duration", t.Duration()))
	}
	return attrs
}
