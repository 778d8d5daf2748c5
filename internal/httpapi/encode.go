package httpapi

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// appendEvent is the JSON form of an event.
func appendEvent(b []byte, e *manager.Event) []byte {
	b = append(b, `{"kind":`...)
	b = appendString(b, string(e.Kind))
	b = appendTime(b, `,"time":`, e.Time)
	b = append(b, `,"task":`...)
	b = appendTask(b, &e.Task)
	return append(b, '}')
}

// appendTask is the JSON form of a task, as encoding/json writes it: without reflection where tasks have something as a rule, which
// makes it three times as fast. A test compares both.
func appendTask(b []byte, t *manager.Task) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, t.ID)
	b = append(b, `,"spec":`...)
	b = appendSpec(b, &t.Spec)
	b = append(b, `,"status":`...)
	b = appendString(b, string(t.Status))
	b = append(b, `,"progress":`...)
	b = strconv.AppendFloat(b, t.Progress, 'f', -1, 64)
	b = append(b, `,"current_step":`...)
	b = strconv.AppendInt(b, int64(t.CurrentStep), 10)
	b = append(b, `,"total_steps":`...)
	b = strconv.AppendInt(b, int64(t.TotalSteps), 10)
	b = appendText(b, `,"message":`, t.Message)
	b = appendTime(b, `,"created_at":`, t.CreatedAt)
	b = appendSetTime(b, `,"run_at":`, t.RunAt)
	b = appendSetTime(b, `,"expires_at":`, t.ExpiresAt)
	b = appendSetTime(b, `,"started_at":`, t.StartedAt)
	b = appendSetTime(b, `,"finished_at":`, t.FinishedAt)
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(t.Attempt), 10)
	b = appendSetTime(b, `,"attempt_at":`, t.AttemptAt)
	if len(t.Attempts) > 0 {
		b = appendAny(b, `,"attempts":`, t.Attempts)
	}
	b = appendNumber(b, `,"retried":`, t.Retried)
	b = appendNumber(b, `,"crashes":`, t.Crashes)
	b = appendBytes(b, `,"output":`, t.Output)
	b = appendNumber(b, `,"output_bytes":`, t.OutputBytes)
	b = appendNumber(b, `,"input_bytes":`, t.InputBytes)
	b = appendBytes(b, `,"partial":`, t.Partial)
	b = appendNumber(b, `,"partial_step":`, t.PartialStep)
	if t.PartialCut {
		b = append(b, `,"partial_cut":true`...)
	}
	b = appendBytes(b, `,"checkpoint":`, t.Checkpoint)
	b = appendNumber(b, `,"checkpoint_step":`, t.CheckpointStep)
	if t.Error != nil {
		b = appendAny(b, `,"error":`, t.Error)
	}
	b = appendText(b, `,"cause":`, string(t.Cause))
	b = appendText(b, `,"function":`, t.Function)
	b = appendText(b, `,"version":`, string(t.Version))
	b = appendUsage(append(b, `,"usage":`...), &t.Usage)
	b = append(b, `,"revision":`...)
	b = strconv.AppendUint(b, t.Revision, 10)
	return append(b, '}')
}

func appendUsage(b []byte, u *abi.Usage) []byte {
	b = append(b, `{"wait_ns":`...)
	b = strconv.AppendInt(b, int64(u.Wait), 10)
	b = append(b, `,"duration_ns":`...)
	b = strconv.AppendInt(b, int64(u.Duration), 10)
	b = append(b, `,"peak_memory":`...)
	b = strconv.AppendUint(b, u.PeakMemory, 10)
	b = append(b, `,"ticks":`...)
	b = strconv.AppendUint(b, u.Ticks, 10)
	return append(b, '}')
}

// appendSpec is the JSON form of a spec. One with what is rare is left to the manager.
func appendSpec(b []byte, s *manager.Spec) []byte {
	rare := s.Args != nil || s.Input != nil || s.Content != "" || s.Unique != (manager.Unique{}) || s.Retry.Codes != nil || len(s.After) > 0 || s.AfterFailed != "" ||
		slices.ContainsFunc(s.Steps, func(step manager.Step) bool { return len(step.Config) > 0 || step.Timeout != 0 }) || len(s.Labels) > 1
	if rare {
		return appendAny(b, "", s)
	}
	begin := len(b)
	b = appendText(b, `,"name":`, s.Name)
	b = appendText(b, `,"kind":`, string(s.Kind))
	for i := range s.Steps {
		if i == 0 {
			b = append(b, `,"steps":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, s.Steps[i].String())
		if i == len(s.Steps)-1 {
			b = append(b, ']')
		}
	}
	for k, v := range s.Labels {
		b = appendString(append(b, `,"labels":{`...), k)
		b = append(appendString(append(b, ':'), v), '}')
	}
	b = appendDuration(b, `,"timeout":`, s.Timeout)
	b = appendDuration(b, `,"step_timeout":`, s.StepTimeout)
	if r := &s.Retry; r.MaxAttempts != 0 || r.Backoff != 0 || r.MaxBackoff != 0 {
		b = append(b, `,"retry":`...)
		inner := len(b)
		b = appendNumber(b, `,"max_attempts":`, r.MaxAttempts)
		b = appendDuration(b, `,"backoff":`, r.Backoff)
		b = appendDuration(b, `,"max_backoff":`, r.MaxBackoff)
		b[inner] = '{'
		b = append(b, '}')
	}
	b = appendText(b, `,"queue":`, s.Queue)
	b = appendNumber(b, `,"priority":`, s.Priority)
	b = appendSetTime(b, `,"run_at":`, s.RunAt)
	b = appendDuration(b, `,"expiry":`, s.Expiry)
	if s.Collect {
		b = append(b, `,"collect":true`...)
	}
	b = appendText(b, `,"traceparent":`, s.TraceParent)
	if len(b) == begin {
		return append(b, "{}"...)
	}
	b[begin] = '{' // for the first comma
	return append(b, '}')
}

// appendString is a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return appendAny(b, "", s)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}

func appendText(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, name...), s)
}

func appendNumber(b []byte, name string, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), int64(n), 10)
}

func appendDuration(b []byte, name string, d time.Duration) []byte {
	if d == 0 {
		return b
	}
	return appendString(append(b, name...), d.String())
}

func appendBytes(b []byte, name string, data []byte) []byte {
	if len(data) == 0 {
		return b
	}
	return appendAny(b, name, data)
}

func appendSetTime(b []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendTime(b, name, t)
}

func appendTime(b []byte, name string, t time.Time) []byte {
	b = append(append(b, name...), '"')
	return append(t.AppendFormat(b, time.RFC3339Nano), '"')
}

// appendAny leaves a value to encoding/json. All that tasks have has a JSON form.
func appendAny(b []byte, name string, v any) []byte {
	w := bytes.NewBuffer(append(b, name...))
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return append(w.Bytes(), "null"...)
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}
