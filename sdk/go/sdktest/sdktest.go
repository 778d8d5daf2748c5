//go:build !wasip1

package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// Call is one call of a function.
type Call struct {
	Input     []byte
	Config    map[string]string
	Vars      map[string][]byte // what calls before this one left
	HTTP      http.Handler      // answers the requests; nil: a request panics
	Cancelled func() bool       // nil: never

	Checkpoint []byte                   // what an attempt before this one saved last; nil: none
	Save       func(state []byte) error // is asked to keep a checkpoint, nil to forget it; nil: all is kept
}

// Result is what the function did.
type Result struct {
	Code     int32 // 0: success
	Output   []byte
	Error    string // the message
	Invalid  bool   // whether the error is one of the input
	Progress []abi.Progress
	Metrics  []abi.Metric
	Logs     []string          // level and message: "warn: no title"
	Vars     map[string][]byte // as the call left them

	Checkpoint []byte // what the next attempt begins with; nil: none
}

// Run makes a call of f, an exported function. Calls from several goroutines wait for each other.
func Run(call Call, f func() int32) Result {
	var r Result
	fake := &guest.Fake{
		Input:      call.Input,
		Config:     call.Config,
		Vars:       map[string][]byte{},
		Cancelled:  call.Cancelled,
		Checkpoint: call.Checkpoint,
		OnProgress: func(step, total int32, fraction float64, message string) {
			r.Progress = append(r.Progress, progress(step, total, fraction, message))
		},
		OnMetric: func(kind, name string, value float64, labels string) string {
			m := abi.Metric{Kind: abi.MetricKind(kind), Name: name, Value: value}
			if labels != "" {
				if err := json.Unmarshal([]byte(labels), &m.Labels); err != nil {
					return err.Error()
				}
			}
			r.Metrics = append(r.Metrics, m)
			return ""
		},
		OnLog: func(level int32, message string) {
			name := [...]string{"trace", "debug", "info", "warn", "error"}[level]
			r.Logs = append(r.Logs, name+": "+message)
		},
	}
	maps.Copy(fake.Vars, call.Vars)
	if call.Save != nil {
		fake.Save = func(state []byte) string {
			if err := call.Save(state); err != nil {
				return "checkpoint: " + err.Error()
			}
			return ""
		}
	}
	if call.HTTP != nil {
		fake.HTTP = func(meta, body []byte) (int, []byte, []byte) { return serve(call.HTTP, meta, body) }
	}
	r.Code = fake.Run(f)
	r.Output, r.Error, r.Invalid, r.Vars = fake.Output, fake.Error, fake.Invalid, fake.Vars
	r.Checkpoint = fake.Checkpoint
	return r
}

// progress is what the host makes of a report.
func progress(step, total int32, fraction float64, message string) abi.Progress {
	p := abi.Progress{Step: int(step), Total: int(total), Fraction: fraction, Message: message}
	if p.Total > 0 {
		p.Step = min(p.Step, p.Total)
	}
	if math.IsNaN(fraction) {
		p.Fraction = 0
		if p.Total > 0 {
			p.Fraction = float64(p.Step) / float64(p.Total)
		}
	}
	p.Fraction = max(0, min(p.Fraction, 1))
	return p
}

func serve(h http.Handler, meta, body []byte) (int, []byte, []byte) {
	var m struct {
		Method, URL string
		Headers     map[string]string
	}
	if err := json.Unmarshal(meta, &m); err != nil {
		panic(err)
	}
	if m.Method == "" {
		m.Method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(context.Background(), m.Method, m.URL, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	for k, v := range m.Headers {
		request.Header.Set(k, v)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	headers := map[string]string{}
	for k, v := range recorder.Header() {
		headers[strings.ToLower(k)] = strings.Join(v, ",")
	}
	text, err := json.Marshal(headers)
	if err != nil {
		panic(err)
	}
	return recorder.Code, text, recorder.Body.Bytes()
}
