package manager_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

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
			sleepUntil(1, 12, 0, 0)
			stopManager(t, m)
			sleepUntil(3, 12, 0, 0)
			m = start(t, echo, manager.Config{Store: store, MaxFinishedAge: 1000 * time.Hour})
			setSchedule(t, m, s) // as at every start of a program
			synctest.Wait()
			if got := scheduleOf(t, m, "report").Error; (missed == manager.MissedSkip) != strings.Contains(got, "2000-01-02T02:00:00Z was missed") {
				t.Errorf("%s: error %q", missed, got)
			}
			sleepUntil(4, 12, 0, 0)
			wantRuns(t, m, "report", want...)
		})
	}
}

func TestScheduleSurvivesAShortRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := manager.NewMemoryStore()
		m := start(t, echo, manager.Config{Store: store})
		setSchedule(t, m, daily("0 2 * * *"))
		sleepUntil(1, 1, 59, 59)
		stopManager(t, m)
		sleepUntil(1, 2, 0, 3)
		m = start(t, echo, manager.Config{Store: store})
		sleepUntil(1, 3, 0, 0)
		wantRuns(t, m, "report", "01T02:00:03")
		wantNext(t, m, "02T02:00:00")
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
		sleepUntil(1, 1, 20, 0)
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

		sleepUntil(1, 2, 30, 0)
		wantNext(t, m, "01T02:00:00")
		sleepUntil(1, 3, 10, 0)
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
		sleepUntil(2, 0, 10, 0)
		b.letGo <- struct{}{}
		stopManager(t, m)
		sleepUntil(2, 8, 0, 0)
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
		sleepUntil(1, 2, 30, 0) // the first one runs still
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
		sleepUntil(1, 3, 30, 0)
		wantNext(t, m, "01T04:00:00")
		if again := scheduleOf(t, m, "report"); again.Error != "" || again.LastTask != got.LastTask || !again.LastAt.After(got.LastAt) {
			t.Errorf("%+v", again)
		}
		if task, err := m.TriggerSchedule(t.Context(), "report"); err != nil || task.ID != got.LastTask {
			t.Errorf("%s, %v", task.ID, err)
		}
		b.letGo <- struct{}{}
		sleepUntil(1, 4, 30, 0)
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
			sleepUntil(1, 0, minute, 30)
			k := minute % 3
			stopManager(t, managers[k])
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
		sleepUntil(1, 0, 0, 30)
		setSchedule(t, other, daily("@every 10s")) // m looks once a minute
		sleepUntil(1, 0, 1, 15)
		wantRuns(t, m, "report", "01T00:01:00", "01T00:01:10")

		const n = 150 // more than a scheduler is told of one by one
		for i := range n {
			s := daily("@every 10m")
			s.Name = fmt.Sprintf("s%d", i)
			setSchedule(t, m, s)
		}
		sleepUntil(1, 0, 12, 0)
		for i := range n {
			wantRuns(t, m, fmt.Sprintf("s%d", i), "01T00:11:15")
		}
		stopManager(t, other)
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
		sleepUntil(1, 0, 50, 0)
		store.down.Store(true)
		sleepUntil(1, 1, 20, 0)
		store.down.Store(false)
		sleepUntil(1, 1, 30, 0)
		s := scheduleOf(t, m, "report")
		if s.LastAt.Before(time.Date(2000, 1, 1, 1, 20, 0, 0, time.UTC)) { // late, but not missed
			t.Errorf("%+v", s)
		}
		wantNext(t, m, "01T02:00:00")

		store.deaf.Store(true) // the task is there, although the store says that it is not
		sleepUntil(1, 2, 30, 0)
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
		sleepUntil(1, 3, 0, 0) // it stops for hours
		b.letGo <- struct{}{}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		result(t, m, task.ID, manager.StatusCompleted)
		wantRuns(t, m, "report")
		wantNext(t, m, "01T01:00:00")
	})
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
