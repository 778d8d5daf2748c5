package manager

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taskhost/taskhost/abi"
)

const (
	scheduleLook  = time.Minute      // how often all schedules are read, for stores that others write to
	scheduleLate  = 2 * scheduleLook // a run that is noticed later than this was missed
	scheduleGrace = 5 * time.Second  // what came so long before the scheduler began was not: another manager may be about to submit it
	scheduleRetry = 30 * time.Second // the longest pause until a run that could not be submitted is tried again
	schedulePage  = 100              // records that are read at a time
	maxKicks      = 100              // names that are kept for the scheduler; beyond that it reads all
)

// schedules is what the methods and the scheduler share.
type schedules struct {
	setting sync.Mutex
	wake    chan struct{} // has room for one

	mu      sync.Mutex
	changed []string
	all     bool // more have changed than are in changed
}

// kick tells the scheduler that a schedule has changed.
func (s *schedules) kick(name string) {
	s.mu.Lock()
	if s.all = s.all || len(s.changed) == maxKicks; !s.all {
		s.changed = append(s.changed, name)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns the names that have changed since it was called last; all: there may be more.
func (s *schedules) take() (names []string, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, all = s.changed, s.all
	s.changed, s.all = nil, false
	return names, all
}

// scheduler is the state of the goroutine that submits what is due. All that has to last is in the store.
type scheduler struct {
	m     *Manager
	began time.Time
	look  time.Time // when to read all schedules
	pause time.Duration
	plan  map[string]*planned
}

// planned is one schedule, as it was when it was read last.
type planned struct {
	next    time.Time // its NextAt
	noticed time.Time // a time that was noticed when it came
	pause   time.Duration
	again   time.Time // not before this
}

// due is when there is something to do; zero: nothing.
func (p *planned) due() time.Time {
	if p.next.Before(p.again) && !p.next.IsZero() {
		return p.again
	}
	return p.next
}

// goOn takes the next time over.
func (p *planned) goOn(next time.Time) {
	if !p.next.Equal(next) {
		p.next, p.again, p.pause = next, time.Time{}, 0
	}
}

// wait puts off another try.
func (p *planned) wait() { p.pause, p.again = later(p.pause) }

func later(pause time.Duration) (time.Duration, time.Time) {
	pause = min(max(2*pause, time.Second), scheduleRetry)
	return pause, time.Now().Add(pause)
}

// fireSchedules submits the tasks of schedules when their time has come, until the manager stops.
func (m *Manager) fireSchedules() {
	if m.runner == nil {
		return // nothing that can be scheduled runs here
	}
	s := scheduler{m: m, began: time.Now(), plan: make(map[string]*planned)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-m.schedules.wake:
		case <-m.closing:
			return
		}
		timer.Reset(time.Until(s.pass()))
	}
}

// pass does what there is to do, and returns when there will be more.
func (s *scheduler) pass() time.Time {
	names, all := s.m.schedules.take()
	if all || !time.Now().Before(s.look) {
		s.readAll()
	} else {
		for _, name := range names {
			s.read(name)
		}
	}
	now := time.Now()
	var due []string
	for name, p := range s.plan {
		if at := p.due(); !at.IsZero() && !at.After(now) {
			due = append(due, name)
		}
	}
	slices.SortFunc(due, func(a, b string) int {
		if c := s.plan[a].next.Compare(s.plan[b].next); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	for _, name := range due {
		s.fire(name)
	}
	wake := s.look
	for _, p := range s.plan {
		if at := p.due(); !at.IsZero() && at.Before(wake) {
			wake = at
		}
	}
	return wake
}

// readAll reads all schedules. When the store fails, those that are known stay, and it is tried again after a pause.
func (s *scheduler) readAll() {
	plan := make(map[string]*planned, len(s.plan))
	for after := ""; ; {
		records, err := s.m.store.Records(s.m.base, recordSchedule, after, schedulePage)
		if err != nil {
			s.failed(err)
			return
		}
		for i := range records {
			after = records[i].Name
			if p := s.know(&records[i]); p != nil {
				plan[after] = p
			}
		}
		if len(records) < schedulePage {
			break
		}
	}
	s.plan = plan
	s.pause, s.look = 0, time.Now().Add(scheduleLook)
}

// read reads one schedule.
func (s *scheduler) read(name string) {
	r, err := s.m.store.Record(s.m.base, recordSchedule, name)
	switch {
	case abi.CodeOf(err) == abi.CodeNotFound:
		delete(s.plan, name)
	case err != nil:
		s.failed(err)
	default:
		if p := s.know(&r); p != nil {
			s.plan[name] = p
		}
	}
}

// failed has all schedules read soon.
func (s *scheduler) failed(err error) {
	s.m.emitError(Task{}, err)
	s.pause, s.look = later(s.pause)
}

// know is the plan for a schedule that was read; nil: it cannot be read.
func (s *scheduler) know(r *Record) *planned {
	p := s.plan[r.Name]
	k, err := decodeKept(r)
	if err != nil {
		s.m.emitError(Task{}, err)
		return nil
	}
	if p == nil {
		p = new(planned)
	}
	p.goOn(k.NextAt)
	return p
}

// came reports whether a time that has come by now is noticed early enough.
func (s *scheduler) came(at, now time.Time) bool {
	return !at.Before(s.began.Add(-scheduleGrace)) && now.Sub(at) <= scheduleLate
}

// fire submits what is due of one schedule. The record decides: it was read a moment ago, and is written together with the task.
func (s *scheduler) fire(name string) {
	m, p := s.m, s.plan[name]
	if s.came(p.next, time.Now()) {
		p.noticed = p.next
	}
	for !m.stopping.Load() {
		k, err := m.readSchedule(m.base, name)
		if abi.CodeOf(err) == abi.CodeNotFound {
			delete(s.plan, name)
			return
		}
		if err != nil {
			m.emitError(Task{}, err)
			p.wait()
			return
		}
		p.goOn(k.NextAt)
		if now := time.Now(); k.NextAt.IsZero() || k.NextAt.After(now) || !recordChanged(s.run(&k, p, now)) {
			return
		}
	}
}

// run does what is to be done of a schedule that is due. It returns the error of a store that has another revision by now.
func (s *scheduler) run(k *keptSchedule, p *planned, now time.Time) error {
	table, err := parseTimetable(k.Cron, k.TimeZone)
	if err != nil {
		return s.putOff(k, p, k.NextAt, err)
	}
	at, next := table.last(k.NextAt, now.Add(-scheduleLate), now), table.next(k.NextAt, now)
	onTime := !at.IsZero() && (s.came(at, now) || at.Equal(p.noticed) || k.Due && at.Equal(k.NextAt))
	switch {
	case onTime:
		p.noticed = at
	case k.Missed != MissedOnce:
		return s.leaveOut(k, p, next, "the run of "+k.NextAt.Format(time.RFC3339)+" was missed: no manager was there to submit it")
	case at.IsZero():
		at = k.NextAt
	}
	done := *k
	done.NextAt, done.Due = next, false
	t, err := s.m.submitScheduled(s.m.base, &done, at)
	id := keyHolder(err, &t)
	switch code := abi.CodeOf(err); {
	case err == nil:
		p.goOn(next)
		return nil
	case recordChanged(err):
		return err
	case code == abi.CodeClosed:
		return nil // nothing happens any more
	case id != "" && k.Spec.Unique.Existing:
		k.LastAt, k.LastTask = now.UTC(), id
		return s.leaveOut(k, p, next, "")
	case id != "" || code == abi.CodeInvalid:
		_, _ = s.m.submitted(&t, err)
		return s.leaveOut(k, p, next, err.Error())
	}
	if !k.Due || !k.NextAt.Equal(at) {
		_, _ = s.m.submitted(&t, err)
	}
	return s.putOff(k, p, at, err)
}

// leaveOut goes on with the next time and makes no task for those that have come.
func (s *scheduler) leaveOut(k *keptSchedule, p *planned, next time.Time, why string) error {
	k.NextAt, k.Due, k.Error = next, false, why
	err := s.m.putSchedule(s.m.base, k)
	switch {
	case err == nil:
		p.goOn(next)
	case !recordChanged(err):
		s.m.emitError(Task{}, err)
		p.wait()
	}
	return err
}

// putOff has the run of a time tried again after a pause, and remembers why, once.
func (s *scheduler) putOff(k *keptSchedule, p *planned, at time.Time, why error) error {
	if !k.Due || !k.NextAt.Equal(at) {
		k.NextAt, k.Due, k.Error = at, true, why.Error()
		err := s.m.putSchedule(s.m.base, k)
		if recordChanged(err) {
			return err
		}
		if err != nil {
			s.m.emitError(Task{}, err)
		} else {
			p.next = at
		}
	}
	p.wait()
	return nil
}
