package abi

import (
	"strings"
	"time"
)

// Call is one call of a plugin's function.
type Call struct {
	Plugin   string            // name of the plugin
	Function string            // empty: the plugin's default function (process if it has one, else its only one)
	Input    []byte            // the host reads it during the call and never keeps or changes it
	Config   map[string]string // laid over the manifest's config for this call alone; may be nil
	Task     string            // id of the task, for errors, logs and events; may be empty
	Step     int               // number of the step in the task, from 1; 0: not a step
	Attempt  int               // number of the attempt, from 1; 0: unknown

	// TraceParent is a W3C traceparent. The host sends it with the guest's HTTP requests, unless the guest sends one itself, and tells
	// it in events and logs. Empty, or one that cannot be read: none.
	TraceParent string

	// Vars are the vars that the guest begins with; nil: those of the instance, as without a task. What the guest changes, it changes in
	// a copy: the host never changes the map or its values, and the caller must not either while the call runs.
	Vars map[string][]byte

	// Checkpoint is the state that an earlier attempt saved last; nil: none. The host reads it during the call and never changes it.
	Checkpoint []byte

	// Save keeps a checkpoint, and returns when it is kept; nil: this call keeps none. A nil state forgets the one that is kept. Save
	// may keep state, and must not change it. It is called by one goroutine at a time, never after the call, and also in the time that a
	// cancelled guest has to tidy up. The call waits for it, whatever happens, so it must return soon; a guest may call it as often as it
	// can. An error is told to the guest; the call goes on.
	Save func(state []byte) error
}

// Result is what a call gave. When a call fails, the Result beside the error still has Function, Version, Usage and Log as far as known.
type Result struct {
	Output   []byte // belongs to the caller
	Function string // the function that ran, also when the call left the choice to the host
	Version  Digest // the version that ran
	Usage    Usage

	// Vars are the vars as a call that succeeded has left them, where Call.Vars was not nil. The map belongs to the caller: it is
	// Call.Vars itself where the guest changed nothing, and it shares the values that the guest left alone.
	Vars map[string][]byte

	// Log are the last lines that the guest logged at level info and above, or wrote to standard error, in this call, the oldest first:
	// MaxLogLines at most. It does not depend on whether the host's log takes them, and belongs to the caller.
	Log []LogLine
}

// LogLine is one message of a guest. It may hold any text, line breaks and control characters included.
type LogLine struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"` // trace, debug, info, warn or error
	Text  string    `json:"text"`  // at most MaxLogLine bytes of valid UTF-8
}

// Bounds on Result.Log; the host cuts longer lines.
const (
	MaxLogLines = 20
	MaxLogLine  = 512 // bytes
)

// Usage is what a call cost.
type Usage struct {
	Wait       time.Duration `json:"wait_ns"`     // waiting for an instance
	Duration   time.Duration `json:"duration_ns"` // running, waiting not included
	PeakMemory uint64        `json:"peak_memory"` // bytes: linear memories and the kernel's
	Ticks      uint64        `json:"ticks"`       // fuel: deterministic cost; 0 where it is not metered
}

// Add sums two usages; the peak is the larger one.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Wait:       u.Wait + v.Wait,
		Duration:   u.Duration + v.Duration,
		PeakMemory: max(u.PeakMemory, v.PeakMemory),
		Ticks:      u.Ticks + v.Ticks,
	}
}

// Progress is how far a call or a task is.
type Progress struct {
	Fraction float64 `json:"fraction"`          // 0..1
	Step     int     `json:"step"`              // steps done so far, 0..Total
	Total    int     `json:"total"`             // number of steps; 0: unknown
	Message  string  `json:"message,omitempty"` // at most MaxProgressMessage bytes of valid UTF-8
}

// MaxProgressMessage bounds a progress message, in bytes; the host cuts longer ones.
const MaxProgressMessage = 512

// Digest names a version: "sha256:" and the hexadecimal SHA-256 of what was loaded.
// For a plugin of one module without a manifest that is the sha256 of its file.
type Digest string

// Short is the first twelve hexadecimal digits, for tables.
func (d Digest) Short() string {
	_, hex, _ := strings.Cut(string(d), ":")
	return hex[:min(12, len(hex))]
}

// MaxName bounds the names of plugins, in bytes.
const MaxName = 100

// ValidName tells whether s can name a plugin: letters, digits, dot, underscore and dash, beginning with a letter or digit,
// at most MaxName bytes. It is the file's base name without its extension.
func ValidName(s string) bool { return ValidWord(s, MaxName) }

// ValidWord tells whether s is at most limit bytes of letters, digits, dot, underscore and dash, and begins with a letter or digit: what
// plugins, labels, queues and schedules can be called.
func ValidWord(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// ParseStep splits "plugin" or "plugin:function". The function is empty when it is not named.
func ParseStep(s string) (plugin, function string, err error) {
	plugin, function, found := strings.Cut(s, ":")
	switch {
	case !ValidName(plugin):
		return "", "", Errorf(CodeInvalid, "%q is not a step: write plugin or plugin:function", s)
	case found && function == "":
		return "", "", Errorf(CodeInvalid, "%q names no function: write %s:FUNCTION, or %s alone for its default function", s, plugin, plugin)
	}
	return plugin, function, nil
}
