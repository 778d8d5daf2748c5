//go:build !wasip1

// Package guest is the guest's side of the contract with the host: on wasip1 the host's functions, elsewhere a fake of them.
package guest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/taskhost/taskhost/abi"
)

// Fake stands in for the host during [Fake.Run]. Its functions may be called from several goroutines.
type Fake struct {
	Input     []byte
	Config    map[string]string
	Vars      map[string][]byte                                                     // changed by SetVar
	HTTP      func(meta, body []byte) (status int, headers []byte, response []byte) // nil: every request panics
	Cancelled func() bool
	LogLevel  int32

	Checkpoint []byte                    // changed by SaveCheckpoint
	Save       func(state []byte) string // "" or why it is not kept; nil: all is kept

	// What the guest did.
	Output     []byte
	Error      string
	Invalid    bool
	OnProgress func(step, total int32, fraction float64, message string)
	OnMetric   func(kind, name string, value float64, labels string) string
	OnLog      func(level int32, message string)

	mu sync.Mutex
}

var (
	running sync.Mutex // held while a fake is current: one call at a time, as in a sandbox
	mu      sync.Mutex // guards current
	current *Fake
)

// Run calls f with the fake as its host and returns what f returns. Calls of several goroutines wait for each other.
func (k *Fake) Run(f func() int32) int32 {
	running.Lock()
	defer running.Unlock()
	swap(k)
	defer swap(nil)
	return f()
}

func swap(k *Fake) {
	mu.Lock()
	defer mu.Unlock()
	current = k
}

// do runs f on the current fake, if there is one.
func do(f func(k *Fake)) {
	mu.Lock()
	k := current
	mu.Unlock()
	if k != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		f(k)
	}
}

// Input is the input of the call; the caller may keep and change it.
func Input() (b []byte) {
	do(func(k *Fake) { b = bytes.Clone(k.Input) })
	return b
}

// SetOutput makes b the output of the call.
func SetOutput(b []byte) { do(func(k *Fake) { k.Output = bytes.Clone(b) }) }

// SetError makes the message the error of the call.
func SetError(message string) { do(func(k *Fake) { k.Error = message }) }

// SetInvalid is SetError for an error of the input.
func SetInvalid(message string) { do(func(k *Fake) { k.Error, k.Invalid = message, true }) }

// Progress reports progress.
func Progress(step, total int32, fraction float64, message string) {
	do(func(k *Fake) { k.OnProgress(step, total, fraction, message) })
}

// Cancelled tells whether the task is to stop.
func Cancelled() (yes bool) {
	do(func(k *Fake) { yes = k.Cancelled != nil && k.Cancelled() })
	return yes
}

// MetricAdd returns "" or why the host did not take it.
func MetricAdd(name string, value float64, labels string) string {
	if value < 0 {
		return "metric " + name + ": a counter's value is not negative"
	}
	return metric("counter", name, value, labels)
}

// MetricSet returns "" or why the host did not take it.
func MetricSet(name string, value float64, labels string) string {
	return metric("gauge", name, value, labels)
}

// MetricObserve returns "" or why the host did not take it.
func MetricObserve(name string, value float64, labels string) string {
	return metric("histogram", name, value, labels)
}

const nameLetters = "abcdefghijklmnopqrstuvwxyz0123456789_"

func metric(kind, name string, value float64, labels string) (message string) {
	switch {
	case name == "" || name[0] < 'a' || len(name) > 64 || strings.Trim(name, nameLetters) != "":
		return "metric " + name + ": a name is a lower-case letter, then such letters, digits and underscores, 64 at most"
	case math.IsNaN(value) || math.IsInf(value, 0):
		return "metric " + name + ": the value is not finite"
	}
	do(func(k *Fake) { message = k.OnMetric(kind, name, value, labels) })
	return message
}

// SaveCheckpoint returns "" or why the host did not keep it. An empty state forgets the checkpoint.
func SaveCheckpoint(state []byte) (message string) {
	if len(state) > abi.MaxCheckpoint {
		return fmt.Sprintf("checkpoint: it has %d bytes, at most %d are kept; save less, such as where to go on", len(state), abi.MaxCheckpoint)
	}
	do(func(k *Fake) {
		var kept []byte
		if len(state) > 0 {
			kept = bytes.Clone(state)
		}
		if k.Save != nil {
			message = k.Save(kept)
		}
		if message == "" {
			k.Checkpoint = kept
		}
	})
	return message
}

// LoadCheckpoint returns the state that was saved last, nil if there is none.
func LoadCheckpoint() (state []byte) {
	do(func(k *Fake) {
		if len(k.Checkpoint) > 0 {
			state = bytes.Clone(k.Checkpoint)
		}
	})
	return state
}

// Config returns the value of a configuration key.
func Config(key string) (value []byte, ok bool) {
	do(func(k *Fake) { value = []byte(k.Config[key]) })
	return value, len(value) > 0
}

// Var returns a var.
func Var(key string) (value []byte, ok bool) {
	do(func(k *Fake) { value = bytes.Clone(k.Vars[key]) })
	return value, len(value) > 0
}

// SetVar sets a var, or removes it when the value is empty.
func SetVar(key string, value []byte) {
	do(func(k *Fake) {
		delete(k.Vars, key)
		if len(value) == 0 {
			return
		}
		if k.Vars == nil {
			k.Vars = map[string][]byte{}
		}
		k.Vars[key] = bytes.Clone(value)
	})
}

// LogLevel is the lowest level that the host takes.
func LogLevel() (level int32) {
	do(func(k *Fake) { level = k.LogLevel })
	return level
}

// Log logs a message: trace, debug, info, warn, error are 0 to 4.
func Log(level int32, message string) { do(func(k *Fake) { k.OnLog(level, message) }) }

// HTTP makes a request: meta is a JSON object with method, url and headers. The headers returned are a JSON object.
func HTTP(meta, body []byte) (status int, headers, response []byte) {
	do(func(k *Fake) {
		if k.HTTP == nil {
			panic("HTTP request in a call that is given no HTTP")
		}
		status, headers, response = k.HTTP(meta, body)
	})
	return status, headers, response
}
