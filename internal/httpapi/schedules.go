package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// scheduleList is the answer of GET /v1/schedules.
type scheduleList struct {
	Schedules []manager.Schedule `json:"schedules"`
}

// SchedulePath names a schedule in a path.
type SchedulePath struct {
	Name string `path:"name" maxLength:"64" doc:"of the schedule"`
}

type scheduleOut = body[manager.Schedule]

func (a *API) addSchedules() {
	add(a, operation{
		method: http.MethodGet, path: "/v1/schedules", id: "listSchedules", role: auth.RoleRead, tag: "schedules", summary: "List schedules, by name",
	}, func(ctx context.Context, _ *none) (*body[scheduleList], error) {
		list, err := a.cfg.Tasks.Schedules(ctx, "", 0)
		if list == nil {
			list = []manager.Schedule{}
		}
		return &body[scheduleList]{scheduleList{list}}, err
	})
	add(a, operation{
		method: http.MethodGet, path: "/v1/schedules/{name}", id: "getSchedule", role: auth.RoleRead, tag: "schedules",
		summary: "Get a schedule", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *SchedulePath) (*scheduleOut, error) {
		return a.schedule(ctx, in.Name, nil)
	})
	a.addSetSchedule()
	add(a, operation{
		method: http.MethodDelete, path: "/v1/schedules/{name}", id: "deleteSchedule", role: auth.RoleOperate, tag: "schedules",
		summary: "Remove a schedule", about: "Tasks that it has submitted stay.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *SchedulePath) (*struct{}, error) {
		err := a.cfg.Tasks.DeleteSchedule(ctx, in.Name)
		a.cfg.Audit(ctx, "schedule.delete", in.Name, err)
		return nil, err
	})
	for _, o := range []struct {
		name   string
		paused bool
		about  string
	}{{"pause", true, "Pause a schedule"}, {"resume", false, "Let a schedule go on"}} {
		add(a, operation{
			method: http.MethodPost, path: "/v1/schedules/{name}/" + o.name, id: o.name + "Schedule", role: auth.RoleOperate, tag: "schedules",
			summary: o.about, errors: []int{http.StatusNotFound},
		}, func(ctx context.Context, in *SchedulePath) (*scheduleOut, error) {
			err := a.cfg.Tasks.PauseSchedule(ctx, in.Name, o.paused)
			a.cfg.Audit(ctx, "schedule."+o.name, in.Name, err)
			return a.schedule(ctx, in.Name, err)
		})
	}
	add(a, operation{
		method: http.MethodPost, path: "/v1/schedules/{name}/trigger", id: "triggerSchedule", role: auth.RoleSubmit, tag: "schedules",
		summary: "Submit a schedule's task now", status: http.StatusCreated, errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests},
	}, func(ctx context.Context, in *SchedulePath) (*taskOut, error) {
		t, err := a.cfg.Tasks.TriggerSchedule(ctx, in.Name)
		light(&t)
		return &taskOut{t}, err
	})
}

func (a *API) schedule(ctx context.Context, name string, err error) (*scheduleOut, error) {
	if err != nil {
		return nil, err
	}
	s, err := a.cfg.Tasks.Schedule(ctx, name)
	return &scheduleOut{s}, err
}

// newScheduleSchema is the body that sets a schedule: the path has its name. What the server keeps is taken and not looked at, so that
// what was read can be changed and sent back.
type newScheduleSchema struct {
	_        struct{}     `additionalProperties:"false"`
	Name     string       `json:"name,omitempty" doc:"as in the path"`
	Cron     string       `json:"cron" doc:"five fields as in crontab(5), @hourly and so on, or @every 10m"`
	TimeZone string       `json:"time_zone,omitempty" doc:"IANA name; default: UTC"`
	Missed   string       `json:"missed,omitempty" enum:"skip,once" doc:"what becomes of runs that were missed; default: skip"`
	Paused   bool         `json:"paused,omitempty"`
	Spec     manager.Spec `json:"spec"`
	NextAt   time.Time    `json:"next_at,omitzero" doc:"not looked at"`
	LastAt   time.Time    `json:"last_at,omitzero" doc:"not looked at"`
	LastTask string       `json:"last_task,omitempty" doc:"not looked at"`
	Error    string       `json:"error,omitempty" doc:"not looked at"`
	Revision uint64       `json:"revision,omitempty" doc:"replace only what still has it"`
}

// addSetSchedule adds PUT of a schedule, which the manager decodes.
func (a *API) addSetSchedule() {
	o := operation{
		method: http.MethodPut, path: "/v1/schedules/{name}", id: "setSchedule", role: auth.RoleOperate, tag: "schedules",
		summary: "Create a schedule, or replace it", about: "With a `revision` it replaces only what still has that revision.",
		params:    []*huma.Param{{Name: "name", In: "path", Required: true, Description: "of the schedule", Schema: &huma.Schema{Type: huma.TypeString}}},
		body:      &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schemaOf[newScheduleSchema](a)}}},
		responses: map[int]*huma.Response{http.StatusOK: jsonResponse[manager.Schedule](a, "as it is stored")},
		errors:    []int{http.StatusConflict},
	}
	addRaw(a, o, func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		data, err := a.readJSON(w, r)
		var s manager.Schedule
		if err == nil {
			s, err = manager.DecodeSchedule(data)
		}
		if err == nil && s.Name != "" && s.Name != name {
			err = abi.Errorf(abi.CodeInvalid, "the path names the schedule %.64q, the body %.64q", name, s.Name)
		}
		if err == nil {
			s.Name = name
			s, err = a.cfg.Tasks.SetSchedule(r.Context(), s)
			a.cfg.Audit(r.Context(), "schedule.set", name, err)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		writeJSON(w, r, http.StatusOK, "application/json", &s)
	})
}
