package httpapi

import (
	"context"
	"net/http"

	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// queueList is the answer of GET /v1/queues.
type queueList struct {
	Queues []manager.QueueStatus `json:"queues"`
}

// newLimit is a manager.Limit without the name of what it is for.
type newLimit struct {
	_           struct{} `additionalProperties:"false"`
	Paused      bool     `json:"paused,omitempty" doc:"nothing is claimed"`
	Concurrency int      `json:"concurrency,omitempty" minimum:"0" doc:"tasks that are claimed at the same time; 0: no bound"`
	Rate        newRate  `json:"rate,omitzero" doc:"attempts that begin in some time"`
}

type newRate struct {
	_     struct{} `additionalProperties:"false"`
	Tasks int      `json:"tasks" minimum:"0"`
	PerNS int64    `json:"per_ns" minimum:"0"`
}

func (l *newLimit) limit() manager.Limit {
	return manager.Limit{Paused: l.Paused, Concurrency: l.Concurrency, Rate: manager.Rate{Tasks: l.Rate.Tasks, Per: nanoseconds(l.Rate.PerNS)}}
}

// QueuePath names a queue in a path.
type QueuePath struct {
	Name string `path:"name" maxLength:"64" doc:"of the queue"`
}

func (a *API) addQueues() {
	add(a, operation{
		method: http.MethodGet, path: "/v1/queues", id: "listQueues", role: auth.RoleRead, tag: "queues",
		summary: "Queues and plugins that have a limit or tasks that have not ended",
	}, func(ctx context.Context, _ *none) (*body[queueList], error) {
		list, err := a.cfg.Tasks.Queues(ctx)
		if list == nil {
			list = []manager.QueueStatus{}
		}
		return &body[queueList]{queueList{list}}, err
	})
	add(a, operation{
		method: http.MethodPut, path: "/v1/queues/{name}", id: "limitQueue", role: auth.RoleOperate, tag: "queues",
		summary: "Replace the limit of a queue", about: "One without any bound removes it.",
	}, func(ctx context.Context, in *struct {
		QueuePath
		Body newLimit
	}) (*body[manager.QueueStatus], error) {
		l := in.Body.limit()
		l.Queue = in.Name
		err := l.Validate()
		if err == nil {
			err = a.cfg.Tasks.SetLimit(ctx, l)
		}
		a.cfg.Audit(ctx, "queue.limit", in.Name, err)
		return a.queueOut(ctx, in.Name, err)
	})
	for _, o := range []struct {
		name   string
		paused bool
		about  string
	}{{"pause", true, "Let no more tasks of a queue begin"}, {"resume", false, "Let tasks of a queue begin again"}} {
		add(a, operation{
			method: http.MethodPost, path: "/v1/queues/{name}/" + o.name, id: o.name + "Queue", role: auth.RoleOperate, tag: "queues", summary: o.about,
		}, func(ctx context.Context, in *QueuePath) (*body[manager.QueueStatus], error) {
			l := manager.Limit{Queue: in.Name}
			err := l.Validate()
			if err == nil {
				err = a.cfg.Tasks.Pause(ctx, in.Name, o.paused)
			}
			a.cfg.Audit(ctx, "queue."+o.name, in.Name, err)
			return a.queueOut(ctx, in.Name, err)
		})
	}
}

func (a *API) queueOut(ctx context.Context, name string, err error) (*body[manager.QueueStatus], error) {
	if err != nil {
		return nil, err
	}
	list, err := a.cfg.Tasks.Queues(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range list {
		if q.Queue == name {
			return &body[manager.QueueStatus]{q}, nil
		}
	}
	return &body[manager.QueueStatus]{manager.QueueStatus{Limit: manager.Limit{Queue: name}}}, nil
}
