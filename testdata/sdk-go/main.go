// Every function of the Go SDK, one export each, so that a test can see what the host makes of it.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// config: the value of the key that the input names.
//
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

// vars: each line of the input is "set KEY VALUE" or "get KEY"; gives a line for each get.
//
//go:wasmexport vars
func vars() int32 {
	return taskhost.Process(func(input string) (string, error) {
		var out strings.Builder
		for line := range strings.Lines(input) {
			command, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			key, value, _ := strings.Cut(rest, " ")
			if command == "set" {
				taskhost.SetVar(key, []byte(value))
				continue
			}
			b, ok := taskhost.Var(key)
			fmt.Fprintf(&out, "%s %v\n", b, ok)
		}
		return out.String(), nil
	})
}

// metrics: each line is "add|set|observe NAME VALUE [LABEL VALUE]"; gives "ok" or the error for each.
//
//go:wasmexport metrics
func metrics() int32 {
	return taskhost.Process(func(input string) (string, error) {
		var out strings.Builder
		for line := range strings.Lines(input) {
			words := append(strings.Fields(line), "", "", "", "", "")
			value, err := strconv.ParseFloat(words[2], 64)
			if err != nil {
				return "", taskhost.InvalidInput(err)
			}
			var labels taskhost.Labels
			if words[3] != "" {
				labels = taskhost.Labels{words[3]: words[4]}
			}
			f := map[string]func(string, float64, taskhost.Labels) error{
				"add": taskhost.MetricAdd, "set": taskhost.MetricSet, "observe": taskhost.MetricObserve,
			}[words[0]]
			if err := f(words[1], value, labels); err != nil {
				fmt.Fprintln(&out, err)
			} else {
				fmt.Fprintln(&out, "ok")
			}
		}
		return out.String(), nil
	})
}

// logs: the input at each level.
//
//go:wasmexport logs
func logs() int32 {
	return taskhost.Process(func(input string) (string, error) {
		for level := taskhost.LevelTrace; level <= taskhost.LevelError; level++ {
			taskhost.Log(level, "%d %s", level, input)
		}
		return "", nil
	})
}

type httpArgs struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

type httpReply struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// http: an action that makes a request.
//
//go:wasmexport http
func http() int32 {
	return taskhost.Action(func(a httpArgs) (httpReply, error) {
		r, err := taskhost.HTTP(taskhost.Request{Method: a.Method, URL: a.URL, Headers: a.Headers, Body: []byte(a.Body)})
		if err != nil {
			return httpReply{}, err
		}
		return httpReply{r.Status, r.Headers, string(r.Body)}, nil
	})
}

// progress: reports steps, a fraction, and whether the task is cancelled.
//
//go:wasmexport progress
func progress() int32 {
	return taskhost.Process(func(string) (string, error) {
		taskhost.Progress(1, 4, "one of four")
		taskhost.ProgressFraction(0.5, "half")
		return fmt.Sprint(taskhost.Cancelled()), nil
	})
}

// checkpoint: adds the input to the state, saves it, and gives what it loads then; an error when it is not kept. The input "forget" saves
// an empty state, "much" one that is too large.
//
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

// fail: in the way that the input names.
//
//go:wasmexport fail
func fail() int32 {
	return taskhost.Process(func(how string) (string, error) {
		switch how {
		case "error":
			return "", errors.New("an error")
		case "invalid":
			return "", taskhost.InvalidInput(errors.New("bad input"))
		case "panic":
			panic("a panic")
		case "nil":
			return nothing().URL, nil
		case "index":
			return how[len(how):][1:2], nil
		case "exit":
			os.Exit(3)
		case "block":
			<-make(chan int)
		case "recurse":
			return strconv.Itoa(recurse(0)), nil
		}
		return "fine", nil
	})
}

func nothing() *httpArgs { return nil }

func recurse(n int) int { return recurse(n+1) + n }

// goroutines: gives the input back, through other goroutines.
//
//go:wasmexport goroutines
func goroutines() int32 {
	return taskhost.Process(func(input string) (string, error) {
		parts := make(chan string)
		go func() {
			defer close(parts)
			for _, r := range input {
				parts <- string(r)
			}
		}()
		var out strings.Builder
		for p := range parts {
			out.WriteString(p)
		}
		return out.String(), nil
	})
}

func main() {}
