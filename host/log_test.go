package host_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// logBook is a slog.Handler that keeps records. The zero value takes all levels.
type logBook struct {
	from *slog.Level // the lowest level; nil: all

	mu      sync.Mutex
	records []slog.Record
}

func (b *logBook) Enabled(_ context.Context, l slog.Level) bool { return b.from == nil || l >= *b.from }

func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, r.Clone())
	return nil
}

func (b *logBook) WithAttrs([]slog.Attr) slog.Handler { return b }
func (b *logBook) WithGroup(string) slog.Handler      { return b }

func slogTo(b *logBook) *slog.Logger { return slog.New(b) }

// messages lists level and message of the records that have the attribute.
func (b *logBook) messages(key, value string) (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == key && a.Value.String() == value {
				list = append(list, r.Level.String()+" "+r.Message)
				return false
			}
			return true
		})
	}
	return list
}

// TestGuestLogs checks the levels of guests' messages, who gets them, and what guests are told of the level.
func TestGuestLogs(t *testing.T) {
	const trace = slog.LevelDebug - 4
	all := []string{"DEBUG-4 at trace", "DEBUG at debug", "INFO at info", "WARN at warn", "ERROR at error"}
	for n, level := range []slog.Level{trace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		logs := &logBook{from: &level}
		h := newHost(t, host.Config{Logger: slogTo(logs)})
		swap(t, h, "logs", "")
		res, err := h.Run(t.Context(), abi.Call{Plugin: "logs", Function: "levels", Task: "t-9"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Messages at level info and above are taken whatever the log takes: they are in the call's result.
		if want := string(rune('0' + min(n, 2))); string(res.Output) != want {
			t.Errorf("at level %v the guest sees %s, want %s", level, res.Output, want)
		}
		for _, attr := range [][2]string{{"plugin", "logs"}, {"task", "t-9"}} {
			got := logs.messages(attr[0], attr[1])
			if strings.Join(got, "|") != strings.Join(all[n:], "|") {
				t.Errorf("at level %v with %s=%s: %q, want %q", level, attr[0], attr[1], got, all[n:])
			}
		}
	}
	h := newHost(t, host.Config{})
	swap(t, h, "logs", "")
	if got := run(t, h, "logs:levels", ""); got != "2" {
		t.Errorf("without a logger the guest sees the level %s, want info", got)
	}
}

// TestGuestLogReusesBlock checks that a guest can log the same block twice: logging does not take it away.
func TestGuestLogReusesBlock(t *testing.T) {
	logs := &logBook{}
	h := newHost(t, host.Config{Logger: slogTo(logs)})
	swap(t, h, "logs", "")
	if got := run(t, h, "logs", "3 4"); got != "3" {
		t.Errorf("the guest logged %s times", got)
	}
	if got := logs.messages("plugin", "logs"); strings.Join(got, "|") != "INFO llll|INFO llll|INFO llll" {
		t.Errorf("the messages are %q", got)
	}
}

// TestGuestLogText checks that a guest's message is one message, whatever bytes it has, and that long ones are cut.
func TestGuestLogText(t *testing.T) {
	logs := &logBook{}
	h := newHost(t, host.Config{Logger: slogTo(logs)})
	swap(t, h, "logs", "")
	run(t, h, "logs:inject", "")
	got := logs.messages("plugin", "logs")
	if len(got) != 1 || !utf8.ValidString(got[0]) || !strings.HasPrefix(got[0], "INFO first line") {
		t.Errorf("the messages are %q", got)
	}
	run(t, h, "logs", "1 60000")
	if got := logs.messages("plugin", "logs"); len(got) != 2 || len(got[1]) > 17<<10 || len(got[1]) < 16<<10 {
		t.Errorf("a message of 60000 bytes becomes %d", len(got[len(got)-1]))
	}
}
