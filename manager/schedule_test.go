package manager_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// daily is a schedule for the tests, which begin on Saturday, 1 January 2000, at midnight.
func daily(cron string) manager.Schedule {
	return manager.Schedule{Name: "report", Cron: cron, Spec: manager.ProcessorTask("x", "p")}
}

func setSchedule(t testing.TB, m *manager.Manager, s manager.Schedule) manager.Schedule {
	t.Helper()
	s, err := m.SetSchedule(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func scheduleOf(t testing.TB, m *manager.Manager, name string) manager.Schedule {
	t.Helper()
	s, err := m.Schedule(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantRuns checks when tasks of a schedule were created.
func wantRuns(t testing.TB, m *manager.Manager, name string, want ...string) {
	t.Helper()
	page, err := m.List(t.Context(), manager.Filter{Labels: map[string]string{manager.LabelSchedule: name}, Limit: manager.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, task := range page.Tasks {
		got = append(got, task.CreatedAt.Format("02T15:04:05"))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("runs at %q, want %q", got, want)
	}
}

func wantNext(t testing.TB, m *manager.Manager, want string) {
	t.Helper()
	if got := scheduleOf(t, m, "report").NextAt.Format("02T15:04:05"); got != want {
		t.Errorf("the next run is at %s, want %s", got, want)
	}
}

// until lets time pass to the given time of the month, and all that happens at it happen.
func until(day, hour, minute, second int) {
	time.Sleep(time.Until(time.Date(2000, 1, day, hour, minute, second, 0, time.UTC)))
	synctest.Wait()
}

func stop(t testing.TB, m *manager.Manager) {
	t.Helper()
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestScheduleRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		m := start(t, echo, manager.Config{OnEvent: rec.event, MaxFinishedAge: 1000 * time.Hour})
		s := setSchedule(t, m, daily("30 */6 * * *"))
		if s.TimeZone != "UTC" || s.Missed != manager.MissedSkip || s.Revision != 1 || s.Spec.Name != "p" || string(s.Spec.Input) != "x" {
			t.Errorf("%+v", s)
		}
		until(2, 3, 0, 0)
		wantRuns(t, m, "report", "01T00:30:00", "01T06:30:00", "01T12:30:00", "01T18:30:00", "02T00:30:00")
		wantNext(t, m, "02T06:30:00")
		s = scheduleOf(t, m, "report")
		task := result(t, m, s.LastTask, manager.StatusCompleted)
		if !s.LastAt.Equal(task.CreatedAt) || s.Error != "" || string(task.Output) != "x" {
			t.Errorf("%+v\n%+v", s, task)
		}
		if got, want := rec.of(task.ID), []string{"submit pending", "start running", "finish completed"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

func TestScheduleEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{})
		until(1, 0, 0, 7)
		setSchedule(t, m, daily("@every 20m"))
		until(1, 1, 10, 0)
		wantRuns(t, m, "report", "01T00:20:07", "01T00:40:07", "01T01:00:07")
	})
}

// TestScheduleInAZone lets a manager run while the clock is changed.
func TestScheduleInAZone(t *testing.T) {
	for _, c := range []struct {
		begin time.Time
		want  []string
	}{
		{time.Date(2000, 3, 25, 12, 0, 0, 0, time.UTC), []string{"26T01:00:00", "27T00:30:00"}},  // the clock leaves 02:30 out
		{time.Date(2000, 10, 28, 12, 0, 0, 0, time.UTC), []string{"29T00:30:00", "30T01:30:00"}}, // it shows 02:30 twice
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(c.begin))
			m := start(t, echo, manager.Config{MaxFinishedAge: 1000 * time.Hour})
			s := daily("30 2 * * *")
			s.TimeZone = "Europe/Berlin"
			setSchedule(t, m, s)
			time.Sleep(48 * time.Hour)
			synctest.Wait()
			wantRuns(t, m, "report", c.want...)
		})
	}
}

// TestScheduleMissed has no manager for some days.
func TestScheduleMissed(t *testing.T) {
	for missed, want := range map[manager.Missed][]string{
		manager.MissedSkip: {"01T02:00:00", "04T02:00:00"},
		manager.MissedOnce: {"01T02:00:00", "03T12:00:00", "04T02:00:00"},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := manager.NewMemoryStore()
			m := start(t, echo, manager.Config{Store: store, MaxFinishedAge: 1000 * time.Hour})
			s := daily("0 2 * * *")
			s.Missed = missed
			setSchedule(t, m, s)
			until(1, 12, 0, 0)
			stop(t, m)
			until(3, 12, 0, 0)
			m = start(t, echo, manager.Config{Store: store, MaxFinishedAge: 1000 * time.Hour})
			setSchedule(t, m, s) // as at every start of a program
			synctest.Wait()
			if got := scheduleOf(t, m, "report").Error; (missed == manager.MissedSkip) != strings.Contains(got, "2000-01-02T02:00:00Z was missed") {
				t.Errorf("%s: error %q", missed, got)
			}
			until(4, 12, 0, 0)
			wantRuns(t, m, "report", want...)
		})
	}
}

func TestScheduleSurvivesAShortRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		m := start(t, echo, manager.Config{Store: store})
		setSchedule(t, m, daily("0 2 * * *"))
		until(1, 1, 59, 59)
		stop(t, m)
		until(1, 2, 0, 3)
		m = start(t, echo, manager.Config{Store: store})
		until(1, 3, 0, 0)
		wantRuns(t, m, "report", "01T02:00:03")
		wantNext(t, m, "02T02:00:00")
	})
}

func TestSchedulePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{})
		s := daily("@hourly")
		s.Missed = manager.MissedOnce
		setSchedule(t, m, s)
		until(1, 1, 30, 0)
		pause := func(paused bool) {
			t.Helper()
			if err := m.PauseSchedule(t.Context(), "report", paused); err != nil {
				t.Fatal(err)
			}
		}
		pause(true)
		pause(true)
		if s = scheduleOf(t, m, "report"); !s.Paused || !s.NextAt.IsZero() || s.Revision != 3 {
			t.Errorf("%+v", s)
		}
		until(1, 5, 30, 0)
		wantRuns(t, m, "report", "01T01:00:00")
		pause(false)
		wantNext(t, m, "01T06:00:00")
		until(1, 6, 30, 0)
		wantRuns(t, m, "report", "01T01:00:00", "01T06:00:00")

		s.Paused = true
		s.Revision = 0
		setSchedule(t, m, s)
		until(1, 8, 30, 0)
		s.Paused = false
		setSchedule(t, m, s)
		wantNext(t, m, "01T09:00:00")
	})
}

func TestScheduleTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{})
		s := daily("@daily")
		setSchedule(t, m, s)
		until(1, 5, 0, 0)
		task, err := m.TriggerSchedule(t.Context(), "report")
		if err != nil {
			t.Fatal(err)
		}
		result(t, m, task.ID, manager.StatusCompleted)
		if got := scheduleOf(t, m, "report"); got.LastTask != task.ID || !got.LastAt.Equal(task.CreatedAt) {
			t.Errorf("%+v", got)
		}
		wantNext(t, m, "02T00:00:00")
		until(2, 1, 0, 0)
		wantRuns(t, m, "report", "01T05:00:00", "02T00:00:00")

		s.Paused = true
		setSchedule(t, m, s)
		if _, err := m.TriggerSchedule(t.Context(), "report"); err != nil {
			t.Error(err)
		}
		_, err = m.TriggerSchedule(t.Context(), "other")
		wantCode(t, err, abi.CodeNotFound)
		stop(t, m)
		_, err = m.TriggerSchedule(t.Context(), "report")
		wantCode(t, err, abi.CodeClosed)
	})
}

func TestScheduleDeletedWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		m := start(t, echo, manager.Config{Store: store})
		other, err := manager.New(echo, manager.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		setSchedule(t, m, daily("@hourly"))
		elsewhere := daily("@hourly")
		elsewhere.Name = "elsewhere"
		setSchedule(t, m, elsewhere)
		until(1, 1, 59, 50)
		if err := m.DeleteSchedule(t.Context(), "report"); err != nil {
			t.Fatal(err)
		}
		if err := other.DeleteSchedule(t.Context(), "elsewhere"); err != nil { // m does not know
			t.Fatal(err)
		}
		wantCode(t, m.DeleteSchedule(t.Context(), "report"), abi.CodeNotFound)
		wantCode(t, m.PauseSchedule(t.Context(), "report", true), abi.CodeNotFound)
		_, err = m.Schedule(t.Context(), "report")
		wantCode(t, err, abi.CodeNotFound)
		until(1, 5, 0, 0)
		wantRuns(t, m, "report", "01T01:00:00")
		wantRuns(t, m, "elsewhere", "01T01:00:00")
		stop(t, other)
	})
}

func TestScheduleChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{})
		s := setSchedule(t, m, daily("0 2 * * *"))
		s.Cron = "0 1 * * *"
		s = setSchedule(t, m, s)
		wantNext(t, m, "01T01:00:00")
		until(1, 1, 30, 0)
		_, err := m.SetSchedule(t.Context(), s) // it has run
		wantCode(t, err, abi.CodeConflict)
		s.Revision = 0
		s.Spec = manager.AgentTask("agent/7", "status", nil)
		s.TimeZone = "Asia/Tokyo"
		s = setSchedule(t, m, s)
		if s.LastTask == "" || s.LastAt.IsZero() {
			t.Errorf("%+v", s)
		}
		wantNext(t, m, "01T16:00:00")
		until(1, 20, 0, 0)
		wantRuns(t, m, "report", "01T01:00:00", "01T16:00:00")
		task := result(t, m, scheduleOf(t, m, "report").LastTask, manager.StatusCompleted)
		if task.Spec.Agent() != "agent/7" || task.Spec.Steps[0].Function != "status" {
			t.Errorf("%+v", task.Spec)
		}
		s.Name, s.Revision = "unknown", 7
		_, err = m.SetSchedule(t.Context(), s)
		wantCode(t, err, abi.CodeConflict)
	})
}

// TestScheduleWithAFullQueue has a run wait for room, and one that finds none until the next one comes.
func TestScheduleWithAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		var rejects atomic.Int64
		m := start(t, b, manager.Config{MaxConcurrent: 1, MaxQueue: 1, OnEvent: func(e manager.Event) {
			if e.Kind == manager.EventReject {
				rejects.Add(1)
			}
		}})
		submit(t, m, manager.ProcessorTask("x", "p"))
		synctest.Wait()
		submit(t, m, manager.ProcessorTask("x", "p"))
		setSchedule(t, m, daily("@hourly"))
		until(1, 1, 20, 0)
		s := scheduleOf(t, m, "report")
		if !strings.Contains(s.Error, "queue is full") || s.LastTask != "" || rejects.Load() != 1 {
			t.Errorf("%+v, %d rejects", s, rejects.Load())
		}
		wantNext(t, m, "01T01:00:00")
		b.letGo <- struct{}{} // one runs, none waits
		time.Sleep(30 * time.Second)
		synctest.Wait()
		s = scheduleOf(t, m, "report")
		if s.Error != "" || s.LastTask == "" || s.LastAt.Before(time.Date(2000, 1, 1, 1, 20, 0, 0, time.UTC)) {
			t.Errorf("%+v", s)
		}
		wantNext(t, m, "01T02:00:00")

		until(1, 2, 30, 0)
		wantNext(t, m, "01T02:00:00")
		until(1, 3, 10, 0)
		wantNext(t, m, "01T03:00:00") // that of 02:00 was missed
		b.letGo <- struct{}{}
		b.letGo <- struct{}{}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		wantNext(t, m, "01T04:00:00")
		page, err := m.List(t.Context(), manager.Filter{Labels: map[string]string{manager.LabelSchedule: "report"}})
		if err != nil || len(page.Tasks) != 2 {
			t.Errorf("%d tasks, %v", len(page.Tasks), err)
		}
	})
}

// TestScheduleThatWaitsOutlastsAManager: what found no room in time is still tried by the next manager.
func TestScheduleThatWaitsOutlastsAManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		b := newBlocker()
		m := start(t, b, manager.Config{Store: store, MaxConcurrent: 1, MaxQueue: 1, KeepOnStop: true})
		submit(t, m, manager.ProcessorTask("x", "p"))
		synctest.Wait()
		submit(t, m, manager.ProcessorTask("x", "p"))
		setSchedule(t, m, daily("@daily"))
		until(2, 0, 10, 0)
		b.letGo <- struct{}{}
		stop(t, m)
		until(2, 8, 0, 0)
		m = start(t, echo, manager.Config{Store: store})
		synctest.Wait()
		wantRuns(t, m, "report", "02T08:00:00")
	})
}

func TestScheduleWithAUniqueKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		m := start(t, b, manager.Config{MaxConcurrent: 1})
		s := daily("@hourly")
		s.Spec.Unique.Key = "one"
		setSchedule(t, m, s)
		until(1, 2, 30, 0) // the first one runs still
		wantRuns(t, m, "report", "01T01:00:00")
		wantNext(t, m, "01T03:00:00")
		got := scheduleOf(t, m, "report")
		if !strings.Contains(got.Error, `key "one" is held`) {
			t.Errorf("%+v", got)
		}
		_, err := m.TriggerSchedule(t.Context(), "report")
		if wantCode(t, err, abi.CodeConflict); abi.AsError(err).Task != got.LastTask {
			t.Error(err)
		}

		s.Spec.Unique.Existing = true
		setSchedule(t, m, s)
		until(1, 3, 30, 0)
		wantNext(t, m, "01T04:00:00")
		if again := scheduleOf(t, m, "report"); again.Error != "" || again.LastTask != got.LastTask || !again.LastAt.After(got.LastAt) {
			t.Errorf("%+v", again)
		}
		if task, err := m.TriggerSchedule(t.Context(), "report"); err != nil || task.ID != got.LastTask {
			t.Errorf("%s, %v", task.ID, err)
		}
		b.letGo <- struct{}{}
		until(1, 4, 30, 0)
		wantRuns(t, m, "report", "01T01:00:00", "01T04:00:00")
		b.letGo <- struct{}{}
	})
}

// TestSchedulesOfTwoManagers has several managers fire the schedules of one store.
func TestSchedulesOfTwoManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		cfg := manager.Config{Store: store, MaxFinishedAge: 1000 * time.Hour}
		managers := []*manager.Manager{start(t, echo, cfg), start(t, echo, cfg), start(t, echo, cfg)}
		const n = 20
		for i := range n {
			s := daily("* * * * *")
			s.Name = fmt.Sprintf("s%d", i)
			s.Missed = []manager.Missed{manager.MissedSkip, manager.MissedOnce}[i%2]
			setSchedule(t, managers[i%3], s)
		}
		for minute := range 30 {
			until(1, 0, minute, 30)
			k := minute % 3
			stop(t, managers[k])
			managers[k] = start(t, echo, cfg)
		}
		var want []string
		for minute := range 29 {
			want = append(want, fmt.Sprintf("01T00:%02d:00", minute+1))
		}
		for i := range n {
			wantRuns(t, managers[0], fmt.Sprintf("s%d", i), want...)
		}
	})
}

// TestSchedulesSetElsewhere has schedules set through a manager that does not run.
func TestSchedulesSetElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		m := start(t, echo, manager.Config{Store: store})
		other, err := manager.New(echo, manager.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		until(1, 0, 0, 30)
		setSchedule(t, other, daily("@every 10s")) // m looks once a minute
		until(1, 0, 1, 15)
		wantRuns(t, m, "report", "01T00:01:00", "01T00:01:10")

		const n = 150 // more than a scheduler is told of one by one
		for i := range n {
			s := daily("@every 10m")
			s.Name = fmt.Sprintf("s%d", i)
			setSchedule(t, m, s)
		}
		until(1, 0, 12, 0)
		for i := range n {
			wantRuns(t, m, fmt.Sprintf("s%d", i), "01T00:11:15")
		}
		stop(t, other)
	})
}

// scheduleStore fails, or does its work and says that it did not.
type scheduleStore struct {
	manager.Store
	down, deaf atomic.Bool
}

func (s *scheduleStore) check() error {
	if s.down.Load() {
		return abi.Errorf(abi.CodeUnavailable, "cut off")
	}
	return nil
}

func (s *scheduleStore) Create(ctx context.Context, tasks []manager.Task, o manager.CreateOptions) error {
	if err := s.check(); err != nil {
		return err
	}
	err := s.Store.Create(ctx, tasks, o)
	if s.deaf.Load() {
		return abi.Errorf(abi.CodeUnavailable, "no answer")
	}
	return err
}

func (s *scheduleStore) Put(ctx context.Context, rs ...manager.Record) error {
	return errors.Join(s.check(), s.Store.Put(ctx, rs...))
}

func (s *scheduleStore) Record(ctx context.Context, kind, name string) (manager.Record, error) {
	if err := s.check(); err != nil {
		return manager.Record{}, err
	}
	return s.Store.Record(ctx, kind, name)
}

func (s *scheduleStore) Records(ctx context.Context, kind, after string, max int) ([]manager.Record, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return s.Store.Records(ctx, kind, after, max)
}

func TestScheduleWithAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &scheduleStore{Store: manager.NewMemoryStore()}
		m := start(t, echo, manager.Config{Store: store})
		setSchedule(t, m, daily("@hourly"))
		until(1, 0, 50, 0)
		store.down.Store(true)
		until(1, 1, 20, 0)
		store.down.Store(false)
		until(1, 1, 30, 0)
		s := scheduleOf(t, m, "report")
		if s.LastAt.Before(time.Date(2000, 1, 1, 1, 20, 0, 0, time.UTC)) { // late, but not missed
			t.Errorf("%+v", s)
		}
		wantNext(t, m, "01T02:00:00")

		store.deaf.Store(true) // the task is there, although the store says that it is not
		until(1, 2, 30, 0)
		page, err := m.List(t.Context(), manager.Filter{})
		if err != nil || len(page.Tasks) != 2 {
			t.Errorf("%d tasks, %v", len(page.Tasks), err)
		}
		wantNext(t, m, "01T03:00:00")
	})
}

func TestScheduleStopsWithItsManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocker()
		m := start(t, b, manager.Config{})
		task := submit(t, m, manager.ProcessorTask("x", "p"))
		setSchedule(t, m, daily("@hourly"))
		stopped := make(chan error)
		go func() { stopped <- m.Stop(context.Background()) }()
		until(1, 3, 0, 0) // it stops for hours
		b.letGo <- struct{}{}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		result(t, m, task.ID, manager.StatusCompleted)
		wantRuns(t, m, "report")
		wantNext(t, m, "01T01:00:00")
	})
}

func TestScheduleRefuses(t *testing.T) {
	m := start(t, echo, manager.Config{})
	for want, change := range map[string]func(*manager.Schedule){
		"cannot name a schedule":        func(s *manager.Schedule) { s.Name = "a b" },
		"at most 64 bytes":              func(s *manager.Schedule) { s.Name = strings.Repeat("a", 65) },
		"missed is":                     func(s *manager.Schedule) { s.Missed = "twice" },
		"Go function":                   func(s *manager.Schedule) { s.Spec = manager.FuncTask("f", noFunc) },
		"cannot wait for others":        func(s *manager.Schedule) { s.Spec.After = []string{"a"} },
		"run_at":                        func(s *manager.Schedule) { s.Spec.RunAt = time.Now() },
		"never matches":                 func(s *manager.Schedule) { s.Cron = "0 0 30 2 *" },
		"not known here":                func(s *manager.Schedule) { s.TimeZone = "Europe/Nowhere" },
		"needs at least one step":       func(s *manager.Schedule) { s.Spec.Steps = nil },
		"at most 16 are allowed":        func(s *manager.Schedule) { s.Spec.Labels = labels(16) },
		"bytes; at most 262144 are all": func(s *manager.Schedule) { s.Spec.Content = strings.Repeat("a", 200<<10) },
	} {
		s := daily("@daily")
		change(&s)
		if _, err := m.SetSchedule(t.Context(), s); abi.CodeOf(err) != abi.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	funcs := start(t, nil, manager.Config{})
	_, err := funcs.SetSchedule(t.Context(), daily("@daily"))
	wantCode(t, err, abi.CodeInvalid)
}

func labels(n int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[fmt.Sprint("l", i)] = "v"
	}
	return m
}

func TestSchedulesAreBounded(t *testing.T) {
	m := start(t, echo, manager.Config{})
	s := daily("@daily")
	for i := range manager.MaxSchedules {
		s.Name = fmt.Sprintf("s%04d", i)
		setSchedule(t, m, s)
	}
	setSchedule(t, m, s)
	s.Name = "more"
	_, err := m.SetSchedule(t.Context(), s)
	wantCode(t, err, abi.CodeInvalid)
	all, err := m.Schedules(t.Context(), "", 0)
	if err != nil || len(all) != manager.MaxSchedules {
		t.Errorf("%d, %v", len(all), err)
	}
	some, err := m.Schedules(t.Context(), "s0997", 10)
	if err != nil || len(some) != 2 || some[0].Name != "s0998" || some[0].Revision != 1 {
		t.Errorf("%+v, %v", some, err)
	}
	_, err = m.Schedules(t.Context(), "", -1)
	wantCode(t, err, abi.CodeInvalid)
}

func TestDecodeSchedule(t *testing.T) {
	text := `{"name":"report","cron":"0 3 * * *","time_zone":"Europe/Berlin","missed":"once","spec":{"steps":["text"],"content":"x","timeout":"1m0s"}}`
	s, err := manager.DecodeSchedule([]byte(text))
	if err != nil || s.Missed != manager.MissedOnce || s.Spec.Timeout != time.Minute {
		t.Errorf("%+v, %v", s, err)
	}
	if back, err := json.Marshal(s); err != nil || string(back) != text {
		t.Errorf("%s, %v", back, err)
	}
	for _, bad := range []string{
		`{"crom":"x"}`, `{"name":"x","cron":"@daily"}`, `{"name":"x","spec":{"stpes":["text"]}}`, `[]`, `{"spec":{}} x`,
	} {
		_, err := manager.DecodeSchedule([]byte(bad))
		if abi.CodeOf(err) != abi.CodeInvalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestSchedulesHammer changes schedules from all sides while they run.
func TestSchedulesHammer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		cfg := manager.Config{Store: store, MaxQueue: 20}
		managers := []*manager.Manager{start(t, echo, cfg), start(t, echo, cfg)}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				m, s := managers[i%2], daily("@every 1s")
				s.Name = fmt.Sprint("s", i%3)
				for n := range 60 {
					_, err := m.SetSchedule(t.Context(), s)
					if n%3 == 0 {
						err = errors.Join(err, m.PauseSchedule(t.Context(), s.Name, n%2 == 0))
					}
					if n%5 == 0 {
						_, trigger := m.TriggerSchedule(t.Context(), s.Name)
						err = errors.Join(err, trigger)
					}
					if i == 0 && n%20 == 19 {
						err = errors.Join(err, m.DeleteSchedule(t.Context(), s.Name))
					}
					if err != nil && abi.CodeOf(err) != abi.CodeNotFound && abi.CodeOf(err) != abi.CodeQueueFull {
						t.Error(err)
					}
					time.Sleep(time.Duration(300+i*10) * time.Millisecond)
				}
			})
		}
		wg.Wait()
		page, err := managers[0].List(t.Context(), manager.Filter{Limit: manager.MaxPage})
		if err != nil || len(page.Tasks) < 20 {
			t.Errorf("%d tasks, %v", len(page.Tasks), err)
		}
	})
}
