package main

import (
	"encoding/json"
	"runtime"
	"time"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

type statusArgs struct {
	Verbose bool `json:"verbose"` // say more about the sandbox
}

type statusReply struct {
	Status  string         `json:"status"` // ok: the plugin was loaded and can be called
	Actions []string       `json:"actions"`
	Sandbox *sandboxStatus `json:"sandbox,omitempty"`
}

type sandboxStatus struct {
	Runtime   string    `json:"runtime"`
	Platform  string    `json:"platform"`
	HeapBytes uint64    `json:"heap_bytes"`
	Time      time.Time `json:"time"`
	LogLevel  string    `json:"log_level"`
	Cancelled bool      `json:"cancelled"`
}

func reportStatus(args statusArgs) (statusReply, error) {
	reply := statusReply{Status: "ok", Actions: []string{"count", "echo", "fetch", "status", "summarize"}}
	if args.Verbose {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		reply.Sandbox = &sandboxStatus{
			Runtime:   runtime.Version(),
			Platform:  runtime.GOOS + "/" + runtime.GOARCH,
			HeapBytes: m.HeapAlloc,
			Time:      time.Now().UTC(),
			LogLevel:  logLevel(),
			Cancelled: taskhost.Cancelled(),
		}
	}
	return reply, nil
}

// logLevel is the lowest level that the host takes.
func logLevel() string {
	for i, name := range []string{"trace", "debug", "info", "warn", "error"} {
		if taskhost.Logs(taskhost.Level(i)) {
			return name
		}
	}
	return "off"
}

// giveBack keeps the arguments as they were written: large numbers and the order of nested keys included.
func giveBack(args map[string]json.RawMessage) (map[string]json.RawMessage, error) { return args, nil }
