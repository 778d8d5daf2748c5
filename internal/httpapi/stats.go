package httpapi

import (
	"context"
	"net/http"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// ServerStats is what the server does at one moment.
type ServerStats struct {
	Tasks       manager.Stats  `json:"tasks"`
	Plugins     int            `json:"plugins"`
	Instances   int            `json:"instances" doc:"sandboxes of all plugins"`
	Version     string         `json:"version" doc:"of the program"`
	StartedAt   time.Time      `json:"started_at"`
	Goroutines  int            `json:"goroutines"`
	MemoryBytes uint64         `json:"memory_bytes" doc:"that the process has from the system for Go; the memories of plugins are not in it"`
	Clients     int            `json:"clients" doc:"open streams of events"`
	Waiting     int            `json:"waiting" doc:"requests that wait for a task"`
	Principal   auth.Principal `json:"principal" doc:"who asks"`
}

// History is what happened in the last hour.
type History struct {
	IntervalS int            `json:"interval_s" doc:"seconds between points"`
	Points    []HistoryPoint `json:"points" doc:"the oldest first"`
}

// AuditEntry is one entry of the audit log.
type AuditEntry struct {
	Time      time.Time      `json:"time"`
	Principal auth.Principal `json:"principal" doc:"who did it"`
	Remote    string         `json:"remote,omitempty" doc:"the address it came from"`
	Action    string         `json:"action" doc:"such as plugin.upload"`
	Object    string         `json:"object,omitempty" doc:"of what: a name or an id"`
	Code      abi.Code       `json:"code,omitempty" doc:"why it was refused"`
	Error     string         `json:"error,omitempty"`
}

type auditList struct {
	Entries []AuditEntry `json:"entries" doc:"the newest first"`
}

func (a *API) addStats() {
	add(a, operation{
		method: http.MethodGet, path: "/v1/stats", id: "getStats", role: auth.RoleRead, tag: "server", summary: "What the server does at this moment",
	}, a.stats)
	add(a, operation{
		method: http.MethodGet, path: "/v1/stats/history", id: "getHistory", role: auth.RoleRead, tag: "server", summary: "What happened in the last hour",
	}, func(_ context.Context, in *struct {
		Since time.Time `query:"since" doc:"points after that"`
	},
	) (*body[History], error) {
		return &body[History]{History{int(historyInterval / time.Second), a.history.since(in.Since)}}, nil
	})
	add(a, operation{
		method: http.MethodGet, path: "/v1/audit", id: "getAudit", role: auth.RoleAdmin, tag: "server", summary: "The last entries of the audit log",
	}, func(ctx context.Context, in *struct {
		Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	},
	) (*body[auditList], error) {
		list := []AuditEntry{}
		if a.cfg.AuditLog != nil {
			entries, err := a.cfg.AuditLog(ctx, in.Limit)
			if err != nil {
				return nil, err
			}
			list = append(list, entries...)
		}
		return &body[auditList]{auditList{list}}, nil
	})
}

func (a *API) stats(ctx context.Context, _ *none) (*body[ServerStats], error) {
	tasks, err := a.cfg.Tasks.Stats(ctx)
	if err != nil {
		return nil, err
	}
	s := ServerStats{
		Tasks: tasks, Version: a.cfg.Version, StartedAt: a.started.UTC(), Goroutines: runtime.NumGoroutine(), MemoryBytes: memory(),
		Waiting: int(a.waiting.Load()), Principal: auth.From(ctx),
	}
	for _, p := range a.cfg.Host.Plugins() {
		s.Plugins++
		s.Instances += p.Instances
	}
	if a.cfg.Events != nil {
		s.Clients = a.cfg.Events.Clients()
	}
	return &body[ServerStats]{s}, nil
}

// memory is what Go has from the system.
func memory() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
