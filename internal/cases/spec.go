package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// Compare says how outputs are compared.
type Compare string

// The ways to compare.
const (
	CompareBytes Compare = "bytes"
	CompareJSON  Compare = "json" // white space, the order of keys and the way numbers are written do not count
)

// maxTimeout bounds Spec.TimeoutMS: a day.
const maxTimeout = 24 * 60 * 60 * 1000

// Spec is what NAME.json says of a case. Every key may be missing. A case that expects an error has no output; one that has neither an
// output nor anything else to check is not a test, and fails.
type Spec struct {
	Description string            `json:"description,omitempty"`
	Function    string            `json:"function,omitempty"` // default: the plugin's own default
	Config      map[string]string `json:"config,omitempty"`   // laid over the manifest's
	Args        json.RawMessage   `json:"args,omitempty"`     // a JSON object that is the input, in place of NAME.in
	Compare     Compare           `json:"compare,omitempty"`  // default: bytes, and json for NAME.out.json
	TimeoutMS   int64             `json:"timeout_ms,omitempty"`

	Error    *WantError            `json:"error,omitempty"`
	Progress *WantProgress         `json:"progress,omitempty"`
	Metrics  map[string]WantMetric `json:"metrics,omitempty"` // by name, or name{label=value,...}
	TicksMax uint64                `json:"ticks_max,omitempty"`
	Log      []string              `json:"log,omitempty"` // each is part of one of the last lines that the plugin logged
}

// WantError is how the call must fail.
type WantError struct {
	Code     abi.Code `json:"code,omitempty"`
	Contains string   `json:"contains,omitempty"` // a part of the message
}

// WantProgress is what the plugin must report: a list of all reports, in their order, or how many there are.
type WantProgress struct {
	Reports  []WantReport // nil: Min and Max count
	Min, Max int          // Max 0: no upper bound
}

// WantReport is one report; what is nil is not compared. In JSON a number is the fraction alone.
type WantReport struct {
	Fraction *float64 `json:"fraction,omitempty"`
	Step     *int     `json:"step,omitempty"`
	Total    *int     `json:"total,omitempty"`
	Message  *string  `json:"message,omitempty"`
}

// WantMetric is what a metric must have come to; what is nil is not compared. In JSON a number is the value alone.
type WantMetric struct {
	Value *float64 `json:"value,omitempty"` // the sum of a counter or histogram, the last value of a gauge
	Count *int     `json:"count,omitempty"` // how often it was reported
}

// UnmarshalJSON reads a list, or {"min": n, "max": n}.
func (w *WantProgress) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		w.Reports = []WantReport{}
		return strict(data, &w.Reports)
	}
	var bounds struct {
		Min int `json:"min"`
		Max int `json:"max"`
	}
	if err := strict(data, &bounds); err != nil {
		return err
	}
	if bounds.Min < 0 || bounds.Max < 0 || bounds.Max > 0 && bounds.Max < bounds.Min {
		return errors.New("min and max must be at least 0, and max not below min")
	}
	w.Min, w.Max = bounds.Min, bounds.Max
	return nil
}

// UnmarshalJSON reads a fraction or an object.
func (w *WantReport) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		w.Fraction = new(float64)
		return strict(data, w.Fraction)
	}
	type plain WantReport
	return strict(data, (*plain)(w))
}

// UnmarshalJSON reads a value or an object.
func (w *WantMetric) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		w.Value = new(float64)
		return strict(data, w.Value)
	}
	type plain WantMetric
	return strict(data, (*plain)(w))
}

// strict decodes one JSON value that has no unknown keys.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the end")
	}
	return nil
}

// ParseSpec decodes and checks a NAME.json. Unknown keys and bad values are errors of CodeInvalid that name the file and the key. The
// file's name serves the messages alone.
func ParseSpec(file string, data []byte) (Spec, error) {
	var s Spec
	// The keys one by one, so that a message can name the one that is wrong.
	var keys map[string]json.RawMessage
	if err := strict(data, &keys); err != nil {
		return s, abi.Errorf(abi.CodeInvalid, "%s: %s", file, problem(err))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		one, err := json.Marshal(map[string]json.RawMessage{key: keys[key]})
		if err == nil {
			err = strict(one, &s)
		}
		if err != nil {
			text := problem(err)
			if !strings.HasPrefix(text, "unknown key") || !strings.Contains(text, fmt.Sprintf("%q", key)) {
				text = key + ": " + text
			}
			return Spec{}, abi.Errorf(abi.CodeInvalid, "%s: %s", file, text)
		}
	}
	if key, what := s.check(); key != "" {
		return Spec{}, abi.Errorf(abi.CodeInvalid, "%s: %s: %s", file, key, what)
	}
	if s.Args != nil {
		s.Args = compact(s.Args)
	}
	return s, nil
}

var unknownField = regexp.MustCompile(`unknown field "(.*)"`)

// problem says in the words of who writes cases what encoding/json found.
func problem(err error) string {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch match := unknownField.FindStringSubmatch(err.Error()); {
	case match != nil:
		return fmt.Sprintf("unknown key %q", match[1])
	case errors.As(err, &typ):
		return "a JSON " + typ.Value + " does not belong here"
	case errors.As(err, &syntax):
		return fmt.Sprintf("not valid JSON at byte %d: %v", syntax.Offset, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "not valid JSON: it ends too early"
	}
	return err.Error()
}

// check returns the first key with a bad value and what is wrong with it.
func (s *Spec) check() (key, what string) {
	switch {
	case s.Args != nil && !bytes.HasPrefix(bytes.TrimSpace(s.Args), []byte("{")):
		return "args", "it must be a JSON object"
	case s.Compare != "" && s.Compare != CompareBytes && s.Compare != CompareJSON:
		return "compare", fmt.Sprintf("it is bytes or json, not %q", s.Compare)
	case s.TimeoutMS < 0 || s.TimeoutMS > maxTimeout:
		return "timeout_ms", "it must be more than 0, and at most a day"
	case s.Error != nil && s.Error.Code == "" && s.Error.Contains == "":
		return "error", "it needs a code, or what the message contains"
	case s.Error != nil && s.Error.Code != "" && !slices.Contains(abi.Codes(), s.Error.Code):
		return "error", fmt.Sprintf("there is no code %q", s.Error.Code)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
		if _, _, ok := parseSeries(name); !ok {
			return "metrics", fmt.Sprintf("%q is no metric: write name, or name{label=value}", name)
		}
		if m := s.Metrics[name]; m.Value == nil && m.Count == nil {
			return "metrics", name + ": it needs a value or a count"
		}
	}
	return "", ""
}

// parseSeries splits name{label=value,...}. Without braces labels is nil: all label sets together.
func parseSeries(s string) (name string, labels map[string]string, ok bool) {
	name, rest, braced := strings.Cut(s, "{")
	if name == "" {
		return "", nil, false
	}
	if !braced {
		return name, nil, true
	}
	if rest, ok = strings.CutSuffix(rest, "}"); !ok {
		return "", nil, false
	}
	labels = map[string]string{}
	for pair := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if key == "" || !ok {
			if rest == "" {
				break // name{}: without labels
			}
			return "", nil, false
		}
		labels[key] = value
	}
	return name, labels, true
}

// near tells whether two numbers are the same but for rounding.
func near(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b), 1)
}
