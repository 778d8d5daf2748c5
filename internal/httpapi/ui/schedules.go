package ui

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

type schedulesView struct {
	base
	Schedules []manager.Schedule
	Form      manager.Schedule // what the form for a schedule begins with
	Spec      string           // of that
	Edit      bool             // it is there already
}

const exampleSpec = `{
  "steps": ["text"],
  "content": "Good morning"
}`

func (s *server) schedules(q *request) error {
	v := schedulesView{base: q.base("schedules", "Schedules"), Spec: exampleSpec, Form: manager.Schedule{Cron: "0 7 * * *"}}
	var err error
	if v.Schedules, err = s.api.Schedules(q.ctx()); err != nil {
		return err
	}
	if name := q.r.URL.Query().Get("edit"); name != "" && !q.partial {
		if v.Form, err = s.api.Schedule(q.ctx(), name); err != nil {
			return err
		}
		spec, err := json.MarshalIndent(v.Form.Spec, "", "  ")
		if err != nil {
			return abi.Errorf(abi.CodeInternal, "the spec has no JSON form: %w", err)
		}
		v.Spec, v.Edit = string(spec), true
	}
	return q.render(http.StatusOK, "schedules", "schedules", &v)
}

func (s *server) scheduleAdd(q *request) error {
	if err := q.r.ParseForm(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	form := q.r.PostForm
	spec, err := manager.DecodeSpec([]byte(form.Get("spec")))
	if err != nil {
		return err
	}
	schedule := manager.Schedule{
		Name: strings.TrimSpace(form.Get("name")), Cron: strings.TrimSpace(form.Get("cron")), TimeZone: strings.TrimSpace(form.Get("time_zone")),
		Missed: manager.Missed(form.Get("missed")), Paused: form.Get("paused") != "", Spec: spec,
	}
	if schedule.Name == "" {
		return abi.Errorf(abi.CodeInvalid, "the schedule needs a name")
	}
	if _, err := s.api.SetSchedule(q.ctx(), schedule); err != nil {
		return err
	}
	return q.done("/schedules", "schedule", 0)
}

func (s *server) scheduleAction(q *request) error {
	name, action := q.r.PathValue("name"), q.r.PathValue("action")
	if err := q.r.ParseForm(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	var err error
	switch action {
	case "pause", "resume":
		err = s.api.PauseSchedule(q.ctx(), name, action == "pause")
	case "trigger":
		t, err := s.api.TriggerSchedule(q.ctx(), name)
		if err != nil {
			return err
		}
		http.Redirect(q.w, q.r, "/tasks/"+t.ID, http.StatusSeeOther)
		return nil
	case "delete":
		ok, err := q.confirmed("schedules", "Delete the schedule?", "Delete the schedule "+name+"? Tasks that it has submitted stay.", "Delete")
		if !ok {
			return err
		}
		if err := s.api.DeleteSchedule(q.ctx(), name); err != nil {
			return err
		}
		return q.done("/schedules", "schedule-delete", 0)
	default:
		return abi.Errorf(abi.CodeNotFound, "a schedule has no action %.40q", action)
	}
	if err != nil {
		return err
	}
	return q.done("/schedules", action, 0)
}
