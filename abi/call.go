package abi

import (
	"regexp"
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
}

// Result is what a call gave. When a call fails, the Result beside the error still has Function, Version and Usage as far as known.
type Result struct {
	Output   []byte // belongs to the caller
	Function string // the function that ran, also when the call left the choice to the host
	Version  Digest // the version that ran
	Usage    Usage
}

// LogLine is a line that a guest logged.
type LogLine struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"` // one of Extism's words: trace, debug, info, warn, error
	Text  string    `json:"text"`
}

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

var nameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ValidName tells whether s can name a plugin: letters, digits, dot, underscore and dash, beginning with a letter or digit,
// at most MaxName bytes. It is the file's base name without its extension.
func ValidName(s string) bool { return len(s) <= MaxName && nameRE.MatchString(s) }

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
