package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
)

// serveLog is where a server's log lines go: to standard error, and those that tell of trouble into a ring, for debug bundles.
type serveLog struct {
	*slog.Logger
	level *slog.LevelVar
	ring  *lineRing
	json  bool
}

// newServeLog makes the log of a server. level and format are those of the configuration.
func newServeLog(w io.Writer, level, format string) *serveLog {
	l := &serveLog{level: new(slog.LevelVar), ring: newLineRing(200, 8<<10), json: format == "json"}
	l.setLevel(level)
	var out slog.Handler = slog.NewTextHandler(w, &slog.HandlerOptions{Level: l.level})
	if l.json {
		out = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l.level})
	}
	trouble := slog.NewTextHandler(l.ring, &slog.HandlerOptions{Level: slog.LevelWarn})
	l.Logger = slog.New(slog.NewMultiHandler(out, trouble))
	return l
}

// setLevel changes the least level that is logged.
func (l *serveLog) setLevel(text string) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(text)) // the configuration was checked
	l.level.Set(level)
}

// tasks is the log for what becomes of each task: the good ends are told at level debug alone, since there may be thousands a second.
func (l *serveLog) tasks() *slog.Logger { return slog.New(&quiet{l.Handler(), l.level}) }

// quiet is a handler that drops what is told at level info, unless the log's level is debug.
type quiet struct {
	slog.Handler
	level *slog.LevelVar
}

func (q *quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return (level >= slog.LevelWarn || q.level.Level() <= slog.LevelDebug) && q.Handler.Enabled(ctx, level)
}

func (q *quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quiet{q.Handler.WithAttrs(attrs), q.level}
}
func (q *quiet) WithGroup(name string) slog.Handler {
	return &quiet{q.Handler.WithGroup(name), q.level}
}

// lineRing keeps the last lines that are written to it, each cut at a length. It is safe for concurrent use.
type lineRing struct {
	mu    sync.Mutex
	lines [][]byte
	next  int // where the next line goes
	most  int // bytes of a line
}

func newLineRing(lines, most int) *lineRing {
	return &lineRing{lines: make([][]byte, lines), most: most}
}

// Write takes one line.
func (r *lineRing) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > r.most {
		p = append(bytes.ToValidUTF8(p[:r.most], nil), "…\n"...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[r.next] = bytes.Clone(p)
	r.next = (r.next + 1) % len(r.lines)
	return n, nil
}

// WriteTo writes the lines, the oldest first.
func (r *lineRing) WriteTo(w io.Writer) (int64, error) {
	r.mu.Lock()
	text := bytes.Join(append(append([][]byte{}, r.lines[r.next:]...), r.lines[:r.next]...), nil)
	r.mu.Unlock()
	n, err := w.Write(text)
	return int64(n), err
}
