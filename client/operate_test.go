package client_test

import (
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// TestOperate: queues, schedules, plugins, memory and figures.
func TestOperate(t *testing.T) {
	s := start(t)
	c := s.client()
	ctx := t.Context()

	limit := manager.Limit{Queue: "mail", Concurrency: 2, Rate: manager.Rate{Tasks: 10, Per: time.Second}}
	if err := c.SetLimit(ctx, limit); err != nil {
		t.Fatal(err)
	}
	if err := c.SetLimit(ctx, manager.Limit{Plugin: "spin", Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	queues, err := c.Queues(ctx)
	if err != nil || len(queues) != 2 || queues[0].Limit != limit || queues[1].Plugin != "spin" || queues[1].Concurrency != 1 {
		t.Errorf("%+v %v", queues, err)
	}
	hasCode(t, c.SetLimit(ctx, manager.Limit{}), abi.CodeInvalid)

	set, err := c.SetSchedule(ctx, manager.Schedule{Name: "nightly", Cron: "0 3 * * *", TimeZone: "Europe/Berlin", Spec: upper("z")})
	if err != nil || set.NextAt.IsZero() {
		t.Errorf("%+v %v", set, err)
	}
	if err := c.PauseSchedule(ctx, "nightly", true); err != nil {
		t.Error(err)
	}
	if got, err := c.Schedule(ctx, "nightly"); err != nil || !got.Paused {
		t.Errorf("%+v %v", got, err)
	}
	task, err := c.TriggerSchedule(ctx, "nightly")
	if err != nil || task.Spec.Labels[manager.LabelSchedule] != "nightly" {
		t.Errorf("%+v %v", task, err)
	}
	if list, err := c.Schedules(ctx); err != nil || len(list) != 1 || list[0].LastTask != task.ID {
		t.Errorf("%+v %v", list, err)
	}
	if err := c.DeleteSchedule(ctx, "nightly"); err != nil {
		t.Error(err)
	}
	hasCode(t, c.DeleteSchedule(ctx, "nightly"), abi.CodeNotFound)

	list, err := c.Plugins(ctx)
	if err != nil || len(list) != len(guests) || list[0].Name != "fail" || list[0].State != abi.StateReady {
		t.Errorf("%+v %v", list, err)
	}
	if p, err := c.Disable(ctx, "upper"); err != nil || !p.Disabled {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := c.Plugin(ctx, "upper"); err != nil || !p.Disabled || p.Digest == "" {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := c.Enable(ctx, "upper"); err != nil || p.Disabled {
		t.Errorf("%+v %v", p, err)
	}
	if v, err := c.Versions(ctx, "upper"); err != nil || len(v) != 1 || !v[0].Current {
		t.Errorf("%+v %v", v, err)
	}
	_, err = c.Plugin(ctx, "../etc")
	hasCode(t, err, abi.CodeNotFound)
	_, err = c.Upload(ctx, "x", client.Upload{})
	hasCode(t, err, abi.CodeInvalid)

	if vars, err := c.Memory(ctx, "vars/1"); err != nil || len(vars) != 0 {
		t.Errorf("%v %v", vars, err)
	}
	if err := c.Forget(ctx, "vars/1"); err != nil {
		t.Error(err)
	}
	_, err = c.Memory(ctx, "vars")
	hasCode(t, err, abi.CodeInvalid)

	stats, err := c.Stats(ctx)
	if err != nil || stats.Plugins != len(guests) || stats.Version != "test" || stats.Principal.Role != "admin" || stats.StartedAt.IsZero() {
		t.Errorf("%+v %v", stats, err)
	}
	if h, err := c.History(ctx, time.Time{}); err != nil || h.Interval != 5 {
		t.Errorf("%+v %v", h, err)
	}
	if _, err := c.Audit(ctx, 10); err != nil {
		t.Error(err)
	}
}
