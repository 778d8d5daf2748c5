package client

import (
	"context"
	"net/http"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Queues lists the queues and plugins that have a limit or tasks that have not ended.
func (c *Client) Queues(ctx context.Context) ([]manager.QueueStatus, error) {
	var list struct {
		Queues []manager.QueueStatus `json:"queues"`
	}
	err := c.call(ctx, newRequest(http.MethodGet, "queues"), &list)
	return list.Queues, err
}

// SetLimit replaces the limit of a queue or a plugin; see manager.Manager.SetLimit.
func (c *Client) SetLimit(ctx context.Context, l manager.Limit) error {
	if err := l.Validate(); err != nil {
		return err
	}
	r := newRequest(http.MethodPut, "queues", l.Queue)
	if l.Plugin != "" {
		r = newRequest(http.MethodPut, "plugins", l.Plugin, "limit")
	}
	l.Queue, l.Plugin = "", ""
	r, err := r.with(l)
	if err != nil {
		return err
	}
	return c.call(ctx, r, nil)
}

// Pause stops attempts of a queue from beginning, or lets them begin again, and leaves its other limits as they are.
func (c *Client) Pause(ctx context.Context, queue string, paused bool) error {
	return c.call(ctx, switched(paused, "queues", queue), nil)
}

// switched is the request that pauses something or lets it go on.
func switched(paused bool, parts ...string) *request {
	what := "resume"
	if paused {
		what = "pause"
	}
	r := newRequest(http.MethodPost, append(parts, what)...)
	r.repeat = true
	return r
}

// Schedules lists the schedules, by name.
func (c *Client) Schedules(ctx context.Context) ([]manager.Schedule, error) {
	var list struct {
		Schedules []manager.Schedule `json:"schedules"`
	}
	err := c.call(ctx, newRequest(http.MethodGet, "schedules"), &list)
	return list.Schedules, err
}

// Schedule returns one schedule. CodeNotFound: there is none of that name.
func (c *Client) Schedule(ctx context.Context, name string) (manager.Schedule, error) {
	var s manager.Schedule
	err := c.call(ctx, newRequest(http.MethodGet, "schedules", name), &s)
	return s, err
}

// SetSchedule creates a schedule, or replaces the one of that name; see manager.Manager.SetSchedule.
func (c *Client) SetSchedule(ctx context.Context, s manager.Schedule) (manager.Schedule, error) {
	r, err := newRequest(http.MethodPut, "schedules", s.Name).with(s)
	if err != nil {
		return manager.Schedule{}, err
	}
	r.repeat = s.Revision == 0
	var set manager.Schedule
	err = c.call(ctx, r, &set)
	return set, err
}

// DeleteSchedule removes a schedule; tasks that it has submitted stay.
func (c *Client) DeleteSchedule(ctx context.Context, name string) error {
	return c.call(ctx, newRequest(http.MethodDelete, "schedules", name), nil)
}

// PauseSchedule pauses a schedule or lets it go on.
func (c *Client) PauseSchedule(ctx context.Context, name string, paused bool) error {
	return c.call(ctx, switched(paused, "schedules", name), nil)
}

// TriggerSchedule submits a schedule's task now, also when it is paused.
func (c *Client) TriggerSchedule(ctx context.Context, name string) (manager.Task, error) {
	var t manager.Task
	err := c.call(ctx, newRequest(http.MethodPost, "schedules", name, "trigger"), &t)
	return t, err
}

// Memory returns what an agent "plugin/id" remembers.
func (c *Client) Memory(ctx context.Context, agent string) (map[string][]byte, error) {
	r, err := memoryRequest(http.MethodGet, agent)
	if err != nil {
		return nil, err
	}
	var m struct {
		Vars map[string][]byte `json:"vars"`
	}
	err = c.call(ctx, r, &m)
	return m.Vars, err
}

// Forget makes an agent "plugin/id" remember nothing.
func (c *Client) Forget(ctx context.Context, agent string) error {
	r, err := memoryRequest(http.MethodDelete, agent)
	if err != nil {
		return err
	}
	return c.call(ctx, r, nil)
}

func memoryRequest(method, agent string) (*request, error) {
	for i := range len(agent) {
		if agent[i] == '/' && i > 0 && i < len(agent)-1 {
			return newRequest(method, "agents", agent[:i], agent[i+1:], "memory"), nil
		}
	}
	return nil, abi.Errorf(abi.CodeInvalid, "%.120q is no agent: write plugin/id", agent)
}
