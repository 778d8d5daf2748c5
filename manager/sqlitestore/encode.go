package sqlitestore

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// stateVersion is that of the column state as appendState writes it. Rows of version 1 have no number: in them attempt_at is left out only
// where it is zero, and all attempts are in attempts.
const stateVersion = 2

// stateJSON is what the column state holds: all of a task that no other column has. appendState writes the same by hand.
type stateJSON struct {
	V              int               `json:"v,omitempty"`
	Progress       float64           `json:"progress,omitempty"`
	CurrentStep    int               `json:"current_step,omitempty"`
	TotalSteps     int               `json:"total_steps,omitempty"`
	Message        string            `json:"message,omitempty"`
	AttemptAt      *time.Time        `json:"attempt_at,omitempty"` // absent: as started_at
	Attempts       []manager.Attempt `json:"attempts,omitempty"`   // but the last
	Last           *lastJSON         `json:"last,omitempty"`
	Retried        int               `json:"retried,omitempty"`
	Crashes        int               `json:"crashes,omitempty"`
	OutputBytes    int               `json:"output_bytes,omitempty"`
	InputBytes     int               `json:"input_bytes,omitempty"`
	PartialStep    int               `json:"partial_step,omitempty"`
	PartialCut     bool              `json:"partial_cut,omitempty"`
	CheckpointStep int               `json:"checkpoint_step,omitempty"`
	Error          *abi.Error        `json:"error,omitempty"`
	Cause          manager.Cause     `json:"cause,omitempty"`
	Function       string            `json:"function,omitempty"`
	Version        abi.Digest        `json:"version,omitempty"`
	Usage          abi.Usage         `json:"usage,omitzero"`
	Times          *timesJSON        `json:"times,omitempty"`
}

// lastJSON is the last attempt that ended. What it has in common with the task is not written again: a row of a task that was run once is
// a quarter smaller.
type lastJSON struct {
	Number     int           `json:"number"`
	StartedAt  *time.Time    `json:"started_at,omitempty"`  // absent: as the task's attempt_at
	FinishedAt *time.Time    `json:"finished_at,omitempty"` // absent: as the task's
	Version    *abi.Digest   `json:"version,omitempty"`     // absent: as the task's
	Usage      *abi.Usage    `json:"usage,omitempty"`       // absent: as the task's
	Error      *abi.Error    `json:"error,omitempty"`
	Log        []abi.LogLine `json:"log,omitempty"`
}

// attempt is what it says of a task that has all else.
func (l *lastJSON) attempt(t *manager.Task) manager.Attempt {
	return manager.Attempt{
		Number: l.Number, StartedAt: given(l.StartedAt, t.AttemptAt), FinishedAt: given(l.FinishedAt, t.FinishedAt),
		Version: given(l.Version, t.Version), Usage: given(l.Usage, t.Usage), Error: l.Error, Log: l.Log,
	}
}

// given is what p points to, or else v.
func given[T any](p *T, v T) T {
	if p != nil {
		return *p
	}
	return v
}

// timesJSON are times that a number of nanoseconds cannot hold.
type timesJSON struct {
	CreatedAt  time.Time `json:"created_at,omitzero"`
	RunAt      time.Time `json:"run_at,omitzero"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// unixNano is a time as columns have it; false: it has no such form.
func unixNano(t time.Time) (int64, bool) {
	if t.IsZero() {
		return 0, true
	}
	if sec := t.Unix(); sec < -8e9 || sec > 8e9 { // from 1716 to 2223
		return 0, false
	}
	n := t.UnixNano()
	return n, n != 0 // 0 stands for no time
}

// farTimes are the times of a task that columns cannot hold; nil: there are none.
func farTimes(t *manager.Task) *timesJSON {
	if inRange(t.CreatedAt) && inRange(t.RunAt) && inRange(t.ExpiresAt) && inRange(t.StartedAt) && inRange(t.FinishedAt) {
		return nil
	}
	var far timesJSON
	put := func(to *time.Time, from time.Time) {
		if _, ok := unixNano(from); !ok {
			*to = from.UTC()
		}
	}
	put(&far.CreatedAt, t.CreatedAt)
	put(&far.RunAt, t.RunAt)
	put(&far.ExpiresAt, t.ExpiresAt)
	put(&far.StartedAt, t.StartedAt)
	put(&far.FinishedAt, t.FinishedAt)
	return &far
}

func inRange(t time.Time) bool {
	_, ok := unixNano(t)
	return ok
}

// object writes the members of a JSON object. Members with their zero value are left out, unless a method's name says otherwise.
type object struct {
	b   []byte
	err error
}

func (o *object) key(name string) {
	if c := o.b[len(o.b)-1]; c != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) number(name string, n int64) {
	if n != 0 {
		o.alwaysNumber(name, n)
	}
}

func (o *object) alwaysNumber(name string, n int64) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

func (o *object) text(name, s string) {
	if s != "" {
		o.key(name)
		o.b = appendString(o.b, s)
	}
}

func (o *object) truth(name string, v bool) {
	if v {
		o.key(name)
		o.b = append(o.b, "true"...)
	}
}

func (o *object) alwaysTime(name string, t time.Time) {
	o.key(name)
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		o.value(t)
		return
	}
	o.b = append(o.b, '"')
	o.b = t.UTC().AppendFormat(o.b, time.RFC3339Nano)
	o.b = append(o.b, '"')
}

func (o *object) duration(name string, d time.Duration) {
	if d != 0 {
		o.key(name)
		o.b = append(o.b, '"')
		o.b = append(o.b, d.String()...)
		o.b = append(o.b, '"')
	}
}

func (o *object) float(name string, f float64) {
	if f == 0 {
		return
	}
	o.key(name)
	if a := math.Abs(f); a < 1e-6 || a >= 1e21 || math.IsNaN(a) {
		o.value(f)
		return
	}
	o.b = strconv.AppendFloat(o.b, f, 'f', -1, 64)
}

// other writes a member that is rare the slow way.
func (o *object) other(name string, v any) {
	o.key(name)
	o.value(v)
}

func (o *object) value(v any) {
	raw, err := json.Marshal(v)
	if err != nil && o.err == nil {
		o.err = err
	}
	o.b = append(o.b, raw...)
}

func (o *object) open(name string) {
	o.key(name)
	o.b = append(o.b, '{')
}

func (o *object) close() { o.b = append(o.b, '}') }

// appendString writes a string as encoding/json does.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			raw, _ := json.Marshal(s) // a string can always be written
			return append(b, raw...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendState writes the column state.
func appendState(b []byte, t *manager.Task) ([]byte, error) {
	o := object{b: append(b, '{')}
	o.alwaysNumber("v", stateVersion)
	o.float("progress", t.Progress)
	o.number("current_step", int64(t.CurrentStep))
	o.number("total_steps", int64(t.TotalSteps))
	o.text("message", t.Message)
	if !t.AttemptAt.Equal(t.StartedAt) {
		o.alwaysTime("attempt_at", t.AttemptAt)
	}
	if n := len(t.Attempts); n > 0 {
		if n > 1 {
			o.key("attempts")
			o.attempts(t.Attempts[:n-1])
		}
		o.open("last")
		o.last(&t.Attempts[n-1], t)
		o.close()
	}
	o.number("retried", int64(t.Retried))
	o.number("crashes", int64(t.Crashes))
	o.number("output_bytes", int64(t.OutputBytes))
	o.number("input_bytes", int64(t.InputBytes))
	o.number("partial_step", int64(t.PartialStep))
	o.truth("partial_cut", t.PartialCut)
	o.number("checkpoint_step", int64(t.CheckpointStep))
	if t.Error != nil {
		o.other("error", t.Error)
	}
	o.text("cause", string(t.Cause))
	o.text("function", t.Function)
	o.text("version", string(t.Version))
	if t.Usage != (abi.Usage{}) {
		o.key("usage")
		o.usage(&t.Usage)
	}
	if far := farTimes(t); far != nil {
		o.other("times", far)
	}
	o.close()
	return o.b, o.err
}

func (o *object) attempts(list []manager.Attempt) {
	o.b = append(o.b, '[')
	for i := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		a := &list[i]
		o.b = append(o.b, '{')
		o.alwaysNumber("number", int64(a.Number))
		o.alwaysTime("started_at", a.StartedAt)
		o.alwaysTime("finished_at", a.FinishedAt)
		o.text("version", string(a.Version))
		o.key("usage")
		o.usage(&a.Usage)
		if a.Error != nil {
			o.other("error", a.Error)
		}
		if len(a.Log) > 0 {
			o.other("log", a.Log)
		}
		o.close()
	}
	o.b = append(o.b, ']')
}

// last writes the members of lastJSON.
func (o *object) last(a *manager.Attempt, t *manager.Task) {
	o.alwaysNumber("number", int64(a.Number))
	if !a.StartedAt.Equal(t.AttemptAt) {
		o.alwaysTime("started_at", a.StartedAt)
	}
	if !a.FinishedAt.Equal(t.FinishedAt) {
		o.alwaysTime("finished_at", a.FinishedAt)
	}
	if a.Version != t.Version {
		o.key("version")
		o.b = appendString(o.b, string(a.Version))
	}
	if a.Usage != t.Usage {
		o.key("usage")
		o.usage(&a.Usage)
	}
	if a.Error != nil {
		o.other("error", a.Error)
	}
	if len(a.Log) > 0 {
		o.other("log", a.Log)
	}
}

func (o *object) usage(u *abi.Usage) {
	o.b = append(o.b, '{')
	o.alwaysNumber("wait_ns", int64(u.Wait))
	o.alwaysNumber("duration_ns", int64(u.Duration))
	o.key("peak_memory")
	o.b = strconv.AppendUint(o.b, u.PeakMemory, 10)
	o.key("ticks")
	o.b = strconv.AppendUint(o.b, u.Ticks, 10)
	o.close()
}
