package manager

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// recordSchedule is the Record.Kind of schedules.
const recordSchedule = "schedule"

// Bounds on schedules.
const (
	MaxSchedules     = 1000      // schedules of one store
	MaxScheduleName  = 64        // bytes of a name
	MaxScheduleBytes = 256 << 10 // bytes of a schedule's JSON form, its spec with the input included
)

// Missed says what becomes of runs whose time passed while no manager ran.
type Missed string

// What can become of them.
const (
	MissedSkip Missed = "skip" // they are left out
	MissedOnce Missed = "once" // the task is submitted once, at once, however many runs were missed
)

// Schedule submits a task again and again. Every time of its Cron makes exactly one task, with the label LabelSchedule and that time as Spec.RunAt, also when
// several managers work on one store or one of them ends in between. The task is submitted when the time has come; when it starts is
// up to its queue.
//
// A time that has come is missed when no manager was there, or when the task could not be submitted (see Error) before the next time.
//
// In zones that change their clocks, a time that the clock leaves out runs when the clock is changed, and a time that it shows twice
// runs the first time. A Cron that takes every hour, such as "*/10 * * * *", goes by the time that passes: it leaves out the hour that
// is left out, and runs in both of those that are shown twice.
type Schedule struct {
	Name string `json:"name"` // letters, digits, dot, underscore and dash, at most MaxScheduleName bytes

	// Cron has five fields, as in crontab(5): minute, hour, day of the month, month, day of the week. With both days given, one of
	// them has to match. Or it is @hourly, @daily, @weekly, @monthly, @yearly, or "@every 10m", counted from when it was set.
	Cron string `json:"cron"`
	// TimeZone is the IANA name of the zone in which the fields are read. Default: UTC. On systems without a database of zones, a
	// program has to import time/tzdata.
	TimeZone string `json:"time_zone,omitempty"`
	// Missed says what becomes of runs that were missed. Default: MissedSkip.
	Missed Missed `json:"missed,omitempty"`
	// Paused: nothing is submitted, and what would have run meanwhile does not count as missed.
	Paused bool `json:"paused,omitempty"`
	// Spec is the task. Go functions, After and RunAt are not possible. A run whose Spec.Unique key is held makes no task.
	Spec Spec `json:"spec"`

	// What follows is told, and ignored where a schedule is set.

	NextAt   time.Time `json:"next_at,omitzero"`    // when it runs next; the run that is due, while that cannot be submitted; zero: paused
	LastAt   time.Time `json:"last_at,omitzero"`    // when it submitted its last task
	LastTask string    `json:"last_task,omitempty"` // the id of that task
	Error    string    `json:"error,omitempty"`     // why the last run made no task, or none yet

	// Revision grows with every change, runs included.
	Revision uint64 `json:"revision,omitempty"`
}

// keptSchedule is a schedule as it is stored.
type keptSchedule struct {
	Schedule
	Due bool `json:"due,omitempty"` // the run of NextAt is being tried
}

// SetSchedule creates a schedule, or replaces the one of that name. With a Revision it replaces only what still has that revision,
// else it returns CodeConflict. A schedule that is replaced keeps its NextAt, LastAt and LastTask; NextAt is counted anew when Cron
// or TimeZone changed, or when it was paused. It returns the schedule as it is stored, with its defaults filled in.
//
// Errors: CodeInvalid for a schedule that cannot be, with a spec that Submit would refuse, or when there are MaxSchedules; those
// of the store.
func (m *Manager) SetSchedule(ctx context.Context, s Schedule) (Schedule, error) {
	table, err := m.prepareSchedule(&s)
	if err != nil {
		return Schedule{}, err
	}
	m.schedules.setting.Lock() // so that there are no more than allowed
	defer m.schedules.setting.Unlock()
	for {
		old, err := m.readSchedule(ctx, s.Name)
		if abi.CodeOf(err) == abi.CodeNotFound {
			err = m.checkSchedules(ctx)
		}
		if err != nil {
			return Schedule{}, err
		}
		if s.Revision != 0 && s.Revision != old.Revision {
			return Schedule{}, abi.Errorf(abi.CodeConflict, "the schedule %q has changed meanwhile", s.Name)
		}
		k := keptSchedule{Schedule: s}
		k.follow(&old, &table)
		err = m.putSchedule(ctx, &k)
		if recordChanged(err) && s.Revision == 0 {
			continue
		}
		if err != nil {
			return Schedule{}, err
		}
		m.schedules.kick(s.Name)
		return k.Schedule, nil
	}
}

// follow takes over from the schedule that is replaced; the zero one: there was none.
func (k *keptSchedule) follow(old *keptSchedule, table *timetable) {
	k.LastAt, k.LastTask, k.Revision = old.LastAt, old.LastTask, old.Revision
	k.NextAt, k.Error = time.Time{}, ""
	switch {
	case k.Paused:
	case k.Cron == old.Cron && k.TimeZone == old.TimeZone && !old.NextAt.IsZero():
		k.NextAt, k.Error, k.Due = old.NextAt, old.Error, old.Due
	default:
		k.NextAt = table.first()
	}
}

// DeleteSchedule removes a schedule; tasks that it has submitted stay. CodeNotFound: there is none of that name.
func (m *Manager) DeleteSchedule(ctx context.Context, name string) error {
	for {
		r, err := m.store.Record(ctx, recordSchedule, name)
		if err != nil {
			return err
		}
		r.Data = nil
		if err = m.store.Put(ctx, r); recordChanged(err) {
			continue
		}
		if err == nil {
			m.schedules.kick(name)
		}
		return err
	}
}

// Schedule returns one schedule. CodeNotFound: there is none of that name.
func (m *Manager) Schedule(ctx context.Context, name string) (Schedule, error) {
	k, err := m.readSchedule(ctx, name)
	return k.Schedule, err
}

// Schedules returns at most max schedules (0: all), by name, those after the name that is given.
func (m *Manager) Schedules(ctx context.Context, after string, max int) ([]Schedule, error) {
	if max < 0 || max > MaxSchedules {
		return nil, abi.Errorf(abi.CodeInvalid, "at most %d schedules are asked for; it must be between 0 (all) and %d", max, MaxSchedules)
	}
	records, err := m.store.Records(ctx, recordSchedule, after, or(max, MaxSchedules))
	if err != nil {
		return nil, err
	}
	list := make([]Schedule, len(records))
	for i := range records {
		k, err := decodeKept(&records[i])
		if err != nil {
			return nil, err
		}
		list[i] = k.Schedule
	}
	return list, nil
}

// PauseSchedule pauses a schedule or lets it go on, with the first time that is still to come. CodeNotFound: there is none of
// that name.
func (m *Manager) PauseSchedule(ctx context.Context, name string, paused bool) error {
	for {
		k, err := m.readSchedule(ctx, name)
		if err != nil || k.Paused == paused {
			return err
		}
		k.Paused, k.Due, k.NextAt, k.Error = paused, false, time.Time{}, ""
		if !paused {
			table, err := parseTimetable(k.Cron, k.TimeZone)
			if err != nil {
				return err
			}
			k.NextAt = table.first()
		}
		if err = m.putSchedule(ctx, &k); recordChanged(err) {
			continue
		}
		if err == nil {
			m.schedules.kick(name)
		}
		return err
	}
}

// TriggerSchedule submits a schedule's task now, also when it is paused. NextAt stays. Errors: CodeNotFound if there is no schedule
// of that name, and those of Submit.
func (m *Manager) TriggerSchedule(ctx context.Context, name string) (Task, error) {
	for {
		k, err := m.readSchedule(ctx, name)
		if err != nil {
			return Task{}, err
		}
		t, err := m.submitScheduled(ctx, &k, time.Time{})
		if recordChanged(err) {
			continue
		}
		if id := keyHolder(err, &t); id != "" && k.Spec.Unique.Existing {
			if t, err := m.Get(ctx, id); err == nil {
				return t, nil
			}
		}
		return m.submitted(&t, err)
	}
}

// submitScheduled submits a schedule's task and stores the schedule as it is with it, both or neither. The task's Spec.RunAt is the time
// for which it is; zero: it is for none.
func (m *Manager) submitScheduled(ctx context.Context, k *keptSchedule, at time.Time) (Task, error) {
	spec := k.Spec
	spec.RunAt = at
	spec.Unique.Existing = false // the id of the task has to be known before
	one := make([]Task, 1)
	t := &one[0]
	if err := m.newTask(t, &spec); err != nil {
		return *t, err
	}
	done := *k
	done.LastAt, done.LastTask = t.CreatedAt, t.ID
	if !done.Due {
		done.Error = ""
	}
	r, err := done.record()
	if err == nil {
		err = m.create(ctx, one, r)
	}
	return *t, err
}

// prepareSchedule checks a schedule and fills in its defaults.
func (m *Manager) prepareSchedule(s *Schedule) (timetable, error) {
	s.TimeZone = or(s.TimeZone, "UTC")
	s.Missed = or(s.Missed, MissedSkip)
	switch {
	case !abi.ValidWord(s.Name, MaxScheduleName):
		return timetable{}, abi.Errorf(abi.CodeInvalid, "%.120q cannot name a schedule: letters, digits, dot, underscore and dash, at most %d bytes",
			s.Name, MaxScheduleName)
	case s.Missed != MissedSkip && s.Missed != MissedOnce:
		return timetable{}, abi.Errorf(abi.CodeInvalid, "missed is %.40q; it must be %s or %s", s.Missed, MissedSkip, MissedOnce)
	case s.Spec.Func != nil || s.Spec.Kind == KindFunc:
		return timetable{}, abi.Errorf(abi.CodeInvalid, "a Go function cannot be scheduled: it would not outlast the process")
	case len(s.Spec.After) > 0 || s.Spec.AfterFailed != "" || s.Spec.Collect:
		return timetable{}, abi.Errorf(abi.CodeInvalid, "a scheduled task cannot wait for others: leave out after")
	case !s.Spec.RunAt.IsZero():
		return timetable{}, abi.Errorf(abi.CodeInvalid, "cron says when a scheduled task runs: leave out run_at and delay")
	}
	table, err := parseTimetable(s.Cron, s.TimeZone)
	if err != nil {
		return timetable{}, err
	}
	labels := make(map[string]string, len(s.Spec.Labels)+1)
	maps.Copy(labels, s.Spec.Labels)
	labels[LabelSchedule] = s.Name
	s.Spec.Labels = labels
	var t Task
	err = m.newTask(&t, &s.Spec)
	s.Spec = t.Spec
	return table, err
}

// checkSchedules reports whether there may be one more.
func (m *Manager) checkSchedules(ctx context.Context) error {
	records, err := m.store.Records(ctx, recordSchedule, "", MaxSchedules)
	if err == nil && len(records) >= MaxSchedules {
		return abi.Errorf(abi.CodeInvalid, "there are %d schedules; no more are allowed", len(records))
	}
	return err
}

func (m *Manager) readSchedule(ctx context.Context, name string) (keptSchedule, error) {
	r, err := m.store.Record(ctx, recordSchedule, name)
	if err != nil {
		return keptSchedule{}, err
	}
	return decodeKept(&r)
}

// putSchedule stores a schedule if it still has its revision, and sets its next one.
func (m *Manager) putSchedule(ctx context.Context, k *keptSchedule) error {
	r, err := k.record()
	if err != nil {
		return err
	}
	if err := m.store.Put(ctx, r); err != nil {
		return err
	}
	k.Revision++
	return nil
}

// record is what is stored of a schedule.
func (k *keptSchedule) record() (Record, error) {
	w := *k
	w.Revision = 0 // the record has it
	data, err := json.Marshal(w)
	if err != nil {
		return Record{}, abi.Errorf(abi.CodeInvalid, "the schedule %q has no JSON form: %w", k.Name, err)
	}
	if len(data) > MaxScheduleBytes {
		return Record{}, abi.Errorf(abi.CodeInvalid, "the schedule %q has %d bytes; at most %d are allowed", k.Name, len(data), MaxScheduleBytes)
	}
	return Record{Kind: recordSchedule, Name: k.Name, Revision: k.Revision, Data: data}, nil
}

func decodeKept(r *Record) (keptSchedule, error) {
	var k keptSchedule
	if err := decode(r.Data, &k, false); err != nil {
		return keptSchedule{}, abi.Errorf(abi.CodeInternal, "the stored schedule %q cannot be read: %w", r.Name, err)
	}
	k.Name, k.Revision = r.Name, r.Revision
	return k, nil
}

// DecodeSchedule reads the JSON form of a Schedule, and refuses unknown fields, in its spec too. It does not check what the fields
// say; SetSchedule does. Errors are CodeInvalid and name the field.
func DecodeSchedule(data []byte) (Schedule, error) {
	var w struct {
		Schedule
		Spec json.RawMessage `json:"spec"`
	}
	err := decode(data, &w, true)
	if err == nil && w.Spec == nil {
		err = abi.Errorf(abi.CodeInvalid, "it has no spec")
	}
	if err == nil {
		w.Schedule.Spec, err = decodeSpec(w.Spec, true)
	}
	if err != nil {
		return Schedule{}, abi.Errorf(abi.CodeInvalid, "the schedule cannot be read: %w", err)
	}
	return w.Schedule, nil
}

// recordChanged reports whether a store refused because a record has changed meanwhile, and not because of a task.
func recordChanged(err error) bool {
	return abi.CodeOf(err) == abi.CodeConflict && abi.AsError(err).Task == ""
}

// keyHolder is the id of the task that holds the key of t, when err says so.
func keyHolder(err error, t *Task) string {
	if abi.CodeOf(err) != abi.CodeConflict {
		return ""
	}
	if id := abi.AsError(err).Task; id != t.ID {
		return id
	}
	return ""
}
