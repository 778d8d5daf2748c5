package manager

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// specJSON is Spec as it is written.
type specJSON struct {
	Name        string            `json:"name,omitempty"`
	Kind        Kind              `json:"kind,omitempty"`
	Steps       []json.RawMessage `json:"steps,omitempty"`
	Content     string            `json:"content,omitempty"`
	Args        map[string]any    `json:"args,omitzero"`
	Input       []byte            `json:"input,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Timeout     duration          `json:"timeout,omitzero"`
	StepTimeout duration          `json:"step_timeout,omitzero"`
	Retry       retryJSON         `json:"retry,omitzero"`
	Queue       string            `json:"queue,omitempty"`
	Priority    int               `json:"priority,omitempty"`
	RunAt       time.Time         `json:"run_at,omitzero"`
	Delay       duration          `json:"delay,omitzero"` // read only: run_at from now
	Expiry      duration          `json:"expiry,omitzero"`
	Unique      uniqueJSON        `json:"unique,omitzero"`
	After       []string          `json:"after,omitempty"`
	AfterFailed AfterFailed       `json:"after_failed,omitempty"`
	Collect     bool              `json:"collect,omitempty"`
	TraceParent string            `json:"traceparent,omitempty"`
}

// stepJSON is a step with more than its name.
type stepJSON struct {
	Step    string            `json:"step"`
	Config  map[string]string `json:"config,omitempty"`
	Timeout duration          `json:"timeout,omitzero"`
}

type uniqueJSON struct {
	Key      string   `json:"key"`
	Window   duration `json:"window,omitzero"`
	Existing bool     `json:"existing,omitempty"`
}

type retryJSON struct {
	MaxAttempts int        `json:"max_attempts,omitempty"`
	Backoff     duration   `json:"backoff,omitzero"`
	MaxBackoff  duration   `json:"max_backoff,omitzero"`
	Codes       []abi.Code `json:"codes,omitzero"`
}

// duration is written as "1m30s".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return abi.Errorf(abi.CodeInvalid, "%q is no duration: write for example 90s or 1m30s", text)
	}
	*d = duration(v)
	return nil
}

// DecodeSpec reads the JSON form of a Spec, and refuses unknown fields, so that a misspelt one does not go unnoticed.
// It does not check what the fields say; Submit does. Errors are CodeInvalid and name the field.
func DecodeSpec(data []byte) (Spec, error) {
	s, err := decodeSpec(data, true)
	if err != nil {
		return Spec{}, abi.Errorf(abi.CodeInvalid, "the task cannot be read: %w", err)
	}
	return s, nil
}

// UnmarshalJSON reads what MarshalJSON writes, and ignores unknown fields.
func (s *Spec) UnmarshalJSON(data []byte) error {
	v, err := decodeSpec(data, false)
	if err == nil {
		*s = v
	}
	return err
}

// MarshalJSON writes the form that DecodeSpec reads. Func has none and is left out.
func (s Spec) MarshalJSON() ([]byte, error) {
	w := specJSON{
		Name: s.Name, Kind: s.Kind, Content: s.Content, Args: s.Args, Input: s.Input, Labels: s.Labels,
		Timeout: duration(s.Timeout), StepTimeout: duration(s.StepTimeout),
		Retry: retryJSON{s.Retry.MaxAttempts, duration(s.Retry.Backoff), duration(s.Retry.MaxBackoff), s.Retry.Codes},
		Queue: s.Queue, Priority: s.Priority, RunAt: s.RunAt, Expiry: duration(s.Expiry),
		Unique: uniqueJSON{s.Unique.Key, duration(s.Unique.Window), s.Unique.Existing},
		After:  s.After, AfterFailed: s.AfterFailed, Collect: s.Collect, TraceParent: s.TraceParent,
	}
	for _, step := range s.Steps {
		var v any = step.String()
		if len(step.Config) > 0 || step.Timeout != 0 {
			v = stepJSON{step.String(), step.Config, duration(step.Timeout)}
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		w.Steps = append(w.Steps, raw)
	}
	return json.Marshal(w)
}

func decodeSpec(data []byte, strict bool) (Spec, error) {
	var w specJSON
	if err := decode(data, &w, strict); err != nil {
		return Spec{}, err
	}
	s := Spec{
		Name: w.Name, Kind: w.Kind, Content: w.Content, Args: w.Args, Input: w.Input, Labels: w.Labels,
		Timeout: time.Duration(w.Timeout), StepTimeout: time.Duration(w.StepTimeout),
		Retry: Retry{w.Retry.MaxAttempts, time.Duration(w.Retry.Backoff), time.Duration(w.Retry.MaxBackoff), w.Retry.Codes},
		Queue: w.Queue, Priority: w.Priority, RunAt: w.RunAt, Expiry: time.Duration(w.Expiry),
		Unique: Unique{w.Unique.Key, time.Duration(w.Unique.Window), w.Unique.Existing},
		After:  w.After, AfterFailed: w.AfterFailed, Collect: w.Collect, TraceParent: w.TraceParent,
	}
	if w.Delay != 0 {
		if !w.RunAt.IsZero() {
			return Spec{}, abi.Errorf(abi.CodeInvalid, "give one of run_at and delay, not both")
		}
		s.RunAt = now().Add(time.Duration(w.Delay))
	}
	for i, raw := range w.Steps {
		step, err := decodeStep(raw, strict)
		if err != nil {
			return Spec{}, abi.Errorf(abi.CodeInvalid, "step %d: %w", i+1, err)
		}
		s.Steps = append(s.Steps, step)
	}
	return s, nil
}

func decodeStep(raw json.RawMessage, strict bool) (Step, error) {
	var w stepJSON
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &w.Step); err != nil {
			return Step{}, err
		}
	} else if err := decode(raw, &w, strict); err != nil {
		return Step{}, err
	}
	step := Step{Plugin: w.Step, Config: w.Config, Timeout: time.Duration(w.Timeout)}
	if plugin, function, err := abi.ParseStep(w.Step); err == nil {
		step.Plugin, step.Function = plugin, function
	}
	return step, nil
}

// decode reads exactly one JSON value; numbers in arguments keep all their digits.
func decode(data []byte, v any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the JSON value")
	}
	return nil
}
