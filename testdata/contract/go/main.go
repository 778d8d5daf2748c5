// The contract plugin in Go: what testdata/contract_test.go calls in each language. See there for what the functions do.
package main

import (
	"bytes"
	"errors"
	"fmt"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

//go:wasmexport echo
func echo() int32 {
	return taskhost.Process(func(input []byte) ([]byte, error) { return input, nil })
}

//go:wasmexport upper
func upper() int32 {
	return taskhost.Process(func(text []byte) ([]byte, error) {
		lines := bytes.Split(text, []byte("\n"))
		for i, line := range lines {
			taskhost.Progress(i+1, len(lines), string(line))
			for k, c := range line {
				if 'a' <= c && c <= 'z' {
					line[k] = c - 'a' + 'A'
				}
			}
		}
		return text, nil
	})
}

//go:wasmexport fail
func fail() int32 {
	return taskhost.Process(func(message string) (string, error) { return "", errors.New(message) })
}

//go:wasmexport invalid
func invalid() int32 {
	return taskhost.Process(func(message string) (string, error) { return "", taskhost.InvalidInput(errors.New(message)) })
}

//go:wasmexport panic
func panics() int32 {
	return taskhost.Process(func(message string) (string, error) { panic(message) })
}

type args struct {
	Name  string  `json:"name" taskhost:"required"`
	Times int     `json:"times"`
	Loud  bool    `json:"loud"`
	Scale float64 `json:"scale"`
}

//go:wasmexport action
func action() int32 {
	return taskhost.Action(func(a args) (map[string]any, error) {
		return map[string]any{"name": a.Name, "times": a.Times, "loud": a.Loud, "scale": a.Scale}, nil
	})
}

//go:wasmexport config
func config() int32 {
	return taskhost.Process(func(key string) (string, error) {
		value, ok := taskhost.Config(key)
		if !ok {
			return "", errors.New("no such key")
		}
		return value, nil
	})
}

//go:wasmexport logs
func logs() int32 {
	return taskhost.Process(func(text string) (string, error) {
		taskhost.Log(taskhost.LevelDebug, "%s", text)
		taskhost.Log(taskhost.LevelInfo, "%s", text)
		taskhost.Log(taskhost.LevelWarn, "%s", text)
		taskhost.Log(taskhost.LevelError, "%s", text)
		return "", nil
	})
}

//go:wasmexport metrics
func metrics() int32 {
	return taskhost.Process(func(string) (string, error) {
		err := errors.Join(
			taskhost.MetricAdd("pages_total", 2, taskhost.Labels{"kind": "a"}),
			taskhost.MetricSet("level", -1, nil),
			taskhost.MetricObserve("seconds", 0.5, nil),
		)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(taskhost.MetricAdd("Pages", 1, nil)), nil
	})
}

//go:wasmexport vars
func vars() int32 {
	return taskhost.Process(func(value string) (string, error) {
		old, ok := taskhost.Var("kept")
		if !ok {
			old = []byte("none")
		}
		taskhost.SetVar("kept", []byte(value))
		taskhost.SetVar("gone", nil)
		return string(old), nil
	})
}

//go:wasmexport http
func http() int32 {
	return taskhost.Process(func(url string) (string, error) {
		r, err := taskhost.HTTP(taskhost.Request{Method: "PUT", URL: url, Headers: map[string]string{"X-Sent": "1"}, Body: []byte("b")})
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d %s", r.Status, r.Body), nil
	})
}

//go:wasmexport header
func header() int32 {
	return taskhost.Process(func(url string) (string, error) {
		r, err := taskhost.HTTP(taskhost.Request{URL: url})
		if err != nil {
			return "", err
		}
		return r.Headers["x-seen"], nil
	})
}

//go:wasmexport checkpoint
func checkpoint() int32 {
	return taskhost.Process(func(input string) (string, error) {
		state := append(taskhost.LoadCheckpoint(), input...)
		switch input {
		case "forget":
			state = nil
		case "much":
			state = make([]byte, 64<<10+1)
		}
		if err := taskhost.SaveCheckpoint(state); err != nil {
			return "", err
		}
		return string(taskhost.LoadCheckpoint()), nil
	})
}

//go:wasmexport fraction
func fraction() int32 {
	return taskhost.Process(func(string) (string, error) {
		taskhost.Progress(1, 4, "one of four")
		taskhost.ProgressFraction(0.5, "half")
		taskhost.Progress(5, 3, "")
		return fmt.Sprint(taskhost.Cancelled()), nil
	})
}

//go:wasmexport cancel
func cancel() int32 {
	return taskhost.Process(func(string) (string, error) {
		taskhost.Progress(0, 1, "")
		for !taskhost.Cancelled() {
		}
		return "", errors.New("tidied up")
	})
}

//go:wasmexport loop
func loop() int32 {
	return taskhost.Process(func(string) (string, error) {
		taskhost.Progress(0, 1, "")
		for i := 0; ; i++ {
			count = i
		}
	})
}

var count int

func main() {}
