package host

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"

	"github.com/taskhost/taskhost/abi"
)

// stdio is the standard input, output and error of an instance. Standard error goes to the log line by line, and so does the
// standard output of plugins that are no WASI commands.
type stdio struct {
	in  bytes.Reader
	out []byte
	err lineWriter
	log lineWriter // standard output that goes to the log

	closed [3]bool // by the guest, which then finds them closed
}

func (s *stdio) begin(input []byte) {
	s.in.Reset(input)
	s.out = nil
	s.err.first, s.err.last = "", ""
}

// reset forgets everything of the call before.
func (s *stdio) reset() {
	s.begin(nil)
	s.closed = [3]bool{}
	s.err.buf, s.log.buf = s.err.buf[:0], s.log.buf[:0]
}

// take returns the output and forgets it.
func (s *stdio) take() []byte {
	out := s.out
	s.out = nil
	return out
}

// lastWords is what a program that failed has said: the first and the last line of standard error, or else the end of its output, where
// some programs write their errors to.
func (s *stdio) lastWords() string {
	first, last := s.err.first, s.err.last
	if len(s.err.buf) > 0 {
		if last = clip(string(s.err.buf), maxLine); first == "" {
			first = last
		}
	}
	end := bytes.TrimSpace(s.out)
	switch {
	case first == last && first != "":
		return ": " + first
	case first != "":
		return ": " + first + " … " + last
	case len(end) > 0:
		return fmt.Sprintf(", with nothing on standard error; its output ends with %q", end[max(0, len(end)-maxOutputEnd):])
	}
	return ""
}

// maxOutputEnd is how much of its output the error of a program shows that says nothing on standard error, in bytes.
const maxOutputEnd = 300

// flush logs the lines that have no end. It runs after the call, whose outcome it does not change.
func (s *stdio) flush(i *instance) {
	_ = s.err.flush(i)
	_ = s.log.flush(i)
}

// stdin, stdout and stderr connect an instance's WASI streams to the call that runs.
type (
	stdin  struct{ i *instance }
	stdout struct{ i *instance }
	stderr struct{ i *instance }
)

func (s stdin) Read(p []byte) (int, error) {
	if s.i.v.form != FormWASI {
		return 0, io.EOF
	}
	return s.i.stdio.in.Read(p)
}

func (s stdout) Write(p []byte) (int, error) {
	i := s.i
	i.leaveIfHalted()
	if i.v.form != FormWASI {
		i.stdio.log.write(i, p)
		return len(p), nil
	}
	if limit := i.v.limits.Output; int64(len(p)) > limit-int64(len(i.stdio.out)) {
		panic(outputTooLarge(limit))
	}
	i.stdio.out = append(i.stdio.out, p...)
	return len(p), nil
}

func (s stderr) Write(p []byte) (int, error) {
	s.i.leaveIfHalted()
	s.i.stdio.err.write(s.i, p)
	return len(p), nil
}

// maxLine is where a line without an end is cut, in bytes.
const maxLine = 4 << 10

// lineWriter logs what is written to it line by line.
type lineWriter struct {
	buf         []byte
	first, last string
}

// write is for the guest's calls: it panics with an abi.Error when the call has logged too much.
func (w *lineWriter) write(i *instance, p []byte) {
	for len(p) > 0 {
		i.leaveIfHalted()
		room := min(len(p), maxLine-len(w.buf))
		n := bytes.IndexByte(p[:room], '\n')
		if n < 0 {
			n = room
		}
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		end := len(p) > 0 && p[0] == '\n'
		if end {
			p = p[1:]
		}
		if end || len(w.buf) == maxLine {
			if err := w.flush(i); err != nil {
				panic(err)
			}
		}
	}
}

func (w *lineWriter) flush(i *instance) error {
	if len(w.buf) == 0 {
		return nil
	}
	line := w.buf
	if w.last = clip(string(line), maxLine); w.first == "" {
		w.first = w.last
	}
	w.buf = w.buf[:0]
	return i.guestLog(slog.LevelInfo, line)
}

// takesLog tells whether anybody wants messages of that level: the host's log, or whoever reads the result of the call.
func (i *instance) takesLog(level slog.Level) bool {
	return level >= keptLevel || i.v.host.cfg.Logger.Enabled(i.parent, level)
}

// keptLevel is the lowest level of the lines that a call's result has.
const keptLevel = slog.LevelInfo

// guestLog passes a message of the guest on. It is an error when the call has logged too much; what the host's log does not take is not
// counted.
func (i *instance) guestLog(level slog.Level, message []byte) error {
	if i.call == nil {
		return nil
	}
	if level >= keptLevel {
		i.lines.add(level, message)
	}
	logger := i.v.host.cfg.Logger
	ctx := i.parent
	if !logger.Enabled(ctx, level) {
		return nil
	}
	limit := i.v.limits.Log
	if i.logged += int64(len(message)) + logOverhead; i.logged > limit {
		return abi.Errorf(abi.CodeLogLimit, "it logged more than its limit of %d bytes in one call; raise taskhost.max_log_bytes in the manifest, or log less", limit)
	}
	attrs := []slog.Attr{slog.String("plugin", i.v.name)}
	if i.call.Task != "" {
		attrs = append(attrs, slog.String("task", i.call.Task))
	}
	if t, ok := abi.ParseTraceParent(i.call.TraceParent); ok {
		attrs = append(attrs, slog.String("trace_id", t.ID), slog.String("span_id", t.Span))
	}
	logger.LogAttrs(ctx, level, clip(string(message), maxLogMessage), attrs...)
	return nil
}

const (
	logOverhead   = 64       // what a message costs besides its bytes
	maxLogMessage = 16 << 10 // longer messages are cut
)
