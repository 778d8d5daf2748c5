package manager_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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

// sleepUntil lets time pass to the given time of the month, and all that happens at it happen.
func sleepUntil(day, hour, minute, second int) {
	time.Sleep(time.Until(time.Date(2000, 1, day, hour, minute, second, 0, time.UTC)))
	synctest.Wait()
}

func stopManager(t testing.TB, m *manager.Manager) {
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
		sleepUntil(2, 3, 0, 0)
		wantRuns(t, m, "report", "01T00:30:00", "01T06:30:00", "01T12:30:00", "01T18:30:00", "02T00:30:00")
		wantNext(t, m, "02T06:30:00")
		s = scheduleOf(t, m, "report")
		task := result(t, m, s.LastTask, manager.StatusCompleted)
		if !s.LastAt.Equal(task.CreatedAt) || s.Error != "" || string(task.Output) != "x" {
			t.Errorf("%+v\n%+v", s, task)
		}
		if at := time.Date(2000, 1, 2, 0, 30, 0, 0, time.UTC); !task.Spec.RunAt.Equal(at) {
			t.Errorf("the task says that it is for %v, want %v", task.Spec.RunAt, at)
		}
		if got, want := rec.of(task.ID), []string{"submit pending", "start running", "finish completed"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

func TestScheduleEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{})
		sleepUntil(1, 0, 0, 7)
		setSchedule(t, m, daily("@every 20m"))
		sleepUntil(1, 1, 10, 0)
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

func TestSchedulePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{})
		s := daily("@hourly")
		s.Missed = manager.MissedOnce
		setSchedule(t, m, s)
		sleepUntil(1, 1, 30, 0)
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
		sleepUntil(1, 5, 30, 0)
		wantRuns(t, m, "report", "01T01:00:00")
		pause(false)
		wantNext(t, m, "01T06:00:00")
		sleepUntil(1, 6, 30, 0)
		wantRuns(t, m, "report", "01T01:00:00", "01T06:00:00")

		s.Paused = true
		s.Revision = 0
		setSchedule(t, m, s)
		sleepUntil(1, 8, 30, 0)
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
		sleepUntil(1, 5, 0, 0)
		task, err := m.TriggerSchedule(t.Context(), "report")
		if err != nil {
			t.Fatal(err)
		}
		result(t, m, task.ID, manager.StatusCompleted)
		if got := scheduleOf(t, m, "report"); got.LastTask != task.ID || !got.LastAt.Equal(task.CreatedAt) {
			t.Errorf("%+v", got)
		}
		wantNext(t, m, "02T00:00:00")
		sleepUntil(2, 1, 0, 0)
		wantRuns(t, m, "report", "01T05:00:00", "02T00:00:00")

		s.Paused = true
		setSchedule(t, m, s)
		if _, err := m.TriggerSchedule(t.Context(), "report"); err != nil {
			t.Error(err)
		}
		_, err = m.TriggerSchedule(t.Context(), "other")
		wantCode(t, err, abi.CodeNotFound)
		stopManager(t, m)
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
		sleepUntil(1, 1, 59, 50)
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
		sleepUntil(1, 5, 0, 0)
		wantRuns(t, m, "report", "01T01:00:00")
		wantRuns(t, m, "elsewhere", "01T01:00:00")
		stopManager(t, other)
	})
}

func TestScheduleChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, echo, manager.Config{})
		s := setSchedule(t, m, daily("0 2 * * *"))
		s.Cron = "0 1 * * *"
		s = setSchedule(t, m, s)
		wantNext(t, m, "01T01:00:00")
		sleepUntil(1, 1, 30, 0)
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
		sleepUntil(1, 20, 0, 0)
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
		"at most 16 are allowed":        func(s *manager.Schedule) { s.Spec.Labels = someLabels(16) },
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

func someLabels(n int) map[string]string {
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
