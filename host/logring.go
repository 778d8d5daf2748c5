package host

import (
	"log/slog"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// logRing holds the last lines that a call has logged. It has no memory before the first, and keeps that for the calls to come, so that
// a guest that logs without an end costs nothing for each line.
type logRing struct {
	lines []ringLine // MaxLogLines of them, once there are any
	n     int        // how many lines came
}

type ringLine struct {
	time  time.Time
	level slog.Level
	text  []byte // MaxLogLine bytes at most, any
	cut   bool
}

func (r *logRing) add(level slog.Level, message []byte) {
	if r.lines == nil {
		r.lines = make([]ringLine, abi.MaxLogLines)
	}
	l := &r.lines[r.n%len(r.lines)]
	r.n++
	n := min(len(message), abi.MaxLogLine)
	l.time, l.level, l.text, l.cut = time.Now(), level, append(l.text[:0], message[:n]...), n < len(message)
}

// take is list, and the ring is empty then.
func (r *logRing) take() []abi.LogLine {
	list := r.list()
	r.n = 0
	return list
}

// list is the lines, oldest first, nil if there are none.
func (r *logRing) list() []abi.LogLine {
	if r.n == 0 {
		return nil
	}
	list := make([]abi.LogLine, 0, min(r.n, len(r.lines)))
	for k := r.n - cap(list); k < r.n; k++ {
		l := &r.lines[k%len(r.lines)]
		text := string(l.text)
		if l.cut {
			text += "…"
		}
		list = append(list, abi.LogLine{Time: l.time.UTC(), Level: levelName(l.level), Text: clip(text, abi.MaxLogLine)})
	}
	return list
}

// levelName is Extism's word for a level.
func levelName(level slog.Level) string {
	name := logLevels[0].name
	for _, l := range logLevels {
		if level >= l.level {
			name = l.name
		}
	}
	return name
}
