package agenda

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Limit bounds a queue or a plugin. Zero fields are no bound.
type Limit struct {
	Paused      bool
	Concurrency int
	Tasks       int // at once, then one each Per/Tasks
	Per         time.Duration
}

// never is the time at which a paused group opens.
const never = math.MaxInt64

// group is a queue or a plugin.
type group[P any] struct {
	name    string
	limit   Limit
	limited bool
	tasks   int     // entries that belong to it; of a plugin: sorts
	running int     // entries that are leased
	ready   heap[P] // of a queue: what is ready; of a plugin: what is parked
	busy    int     // its place in Agenda.busy
	full    int64   // when the allowance of its rate is whole again
}

// opens is when another task may be claimed: 0 now, never when time alone does not change it.
func (g *group[P]) opens(now int64) int64 {
	l := &g.limit
	switch {
	case !g.limited:
		return 0
	case l.Paused, l.Concurrency > 0 && g.running >= l.Concurrency:
		return never
	case l.Tasks > 0:
		// Each task takes Per/Tasks of an allowance of Per: the generic cell rate algorithm, ITU-T I.371.
		if at := g.full + int64(l.Per)/int64(l.Tasks) - int64(l.Per); at > now {
			return at
		}
	}
	return 0
}

// spend takes one task off the allowance.
func (g *group[P]) spend(now int64) {
	if l := &g.limit; l.Tasks > 0 {
		g.full = max(g.full, now) + int64(l.Per)/int64(l.Tasks)
	}
}

// sort is what all tasks with the same plugins share.
type sort[P any] struct {
	key    string
	tasks  int
	groups []*group[P]
}

// closed is a group that allows no more tasks now; nil: none.
func (s *sort[P]) closed(now int64) *group[P] {
	for _, g := range s.groups {
		if g.opens(now) != 0 {
			return g
		}
	}
	return nil
}

// group finds or makes a group.
func (a *Agenda[P]) group(in map[string]*group[P], name string, plugin bool) *group[P] {
	g := in[name]
	if g == nil {
		g = &group[P]{name: name}
		g.ready.state = ready
		if plugin {
			g.ready.state = parked
		}
		in[name] = g
	}
	return g
}

// sortOf finds or makes the sort of tasks with these plugins.
func (a *Agenda[P]) sortOf(plugins []string) *sort[P] {
	var key string
	if len(plugins) == 1 {
		key = plugins[0]
	} else {
		key = strings.Join(plugins, "\x00")
	}
	s := a.sorts[key]
	if s == nil {
		s = &sort[P]{key: key}
		for _, name := range plugins {
			g := a.group(a.plugins, name, true)
			g.tasks++
			s.groups = append(s.groups, g)
		}
		a.sorts[key] = s
	}
	s.tasks++
	return s
}

// leaveGroups takes an entry out of its queue and sort, and forgets those that nobody needs any more.
func (a *Agenda[P]) leaveGroups(e *Entry[P]) {
	q := e.queue
	if q.tasks--; q.tasks == 0 && !q.limited {
		a.unlist(q)
		delete(a.queues, q.name)
	}
	s := e.sort
	if s.tasks--; s.tasks > 0 {
		return
	}
	delete(a.sorts, s.key)
	for _, g := range s.groups {
		if g.tasks--; g.tasks == 0 && !g.limited {
			delete(a.plugins, g.name)
		}
	}
}

// rest takes a queue off the busy ones if nothing is ready in it.
func (a *Agenda[P]) rest(q *group[P]) {
	if q.ready.empty() {
		a.unlist(q)
	}
}

func (a *Agenda[P]) unlist(q *group[P]) {
	if q.busy >= len(a.busy) || a.busy[q.busy] != q {
		return
	}
	last := a.busy[len(a.busy)-1]
	a.busy[q.busy], last.busy = last, q.busy
	a.busy[len(a.busy)-1] = nil
	a.busy = a.busy[:len(a.busy)-1]
	q.ready.items = q.ready.items[:0]
}

// head is when the first entry of what is ready or parked became due; 0: there is none.
func (g *group[P]) head() int64 {
	if it := g.ready.first(inState[P]); it != nil {
		return it.e.since
	}
	return 0
}

// count makes an entry count as running.
func (a *Agenda[P]) count(e *Entry[P]) {
	if e.counted {
		return
	}
	e.counted = true
	e.queue.running++
	for _, g := range e.sort.groups {
		g.running++
	}
}

// uncount undoes it, and lets go on what that makes room for.
func (a *Agenda[P]) uncount(e *Entry[P]) {
	e.queue.running--
	if e.queue.limited && !e.queue.ready.empty() {
		a.wake()
	}
	for _, g := range e.sort.groups {
		g.running--
		if !g.ready.empty() {
			a.wake()
		}
	}
}

// park makes an entry wait for a plugin.
func (a *Agenda[P]) park(e *Entry[P], g *group[P]) {
	e.state = parked
	g.ready.push(e.rank, e)
	a.closed[g] = struct{}{}
}

// unpark puts the most urgent entry of each plugin that allows it now back into its queue; false: there is none.
func (a *Agenda[P]) unpark(now int64) (any bool) {
	for g := range a.closed {
		switch {
		case g.ready.first(inState[P]) == nil:
			delete(a.closed, g)
		case g.opens(now) == 0:
			a.makeReady(g.ready.pop().e)
			any = true
		}
	}
	return any
}

// SetQueue and SetPlugin replace a limit; the zero Limit removes it.
func (a *Agenda[P]) SetQueue(name string, l Limit) {
	g := a.group(a.queues, name, false)
	g.limit, g.limited = l, l != Limit{}
	if g.tasks == 0 && !g.limited {
		delete(a.queues, name)
	}
	a.wake()
	a.setAlarm()
}

// SetPlugin is SetQueue for a plugin.
func (a *Agenda[P]) SetPlugin(name string, l Limit) {
	g := a.group(a.plugins, name, true)
	g.limit, g.limited = l, l != Limit{}
	if g.tasks == 0 && !g.limited {
		delete(a.plugins, name)
	}
	a.wake()
	a.setAlarm()
}

// Status is a queue or a plugin at one moment.
type Status struct {
	Name    string
	Plugin  bool
	Limit   Limit
	Pending int
	Running int
	Since   int64 // when the task became due that goes next, or, of a plugin, that waits for its limit; 0: there is none
}

// Groups lists the queues and then the plugins that have a limit or tasks, each sorted by name.
func (a *Agenda[P]) Groups() []Status {
	var list []Status
	for name, g := range a.queues {
		list = append(list, Status{Name: name, Limit: g.limit, Pending: g.tasks - g.running, Running: g.running, Since: g.head()})
		a.rest(g)
	}
	tasks := make(map[string]int)
	for _, s := range a.sorts {
		for _, g := range s.groups {
			tasks[g.name] += s.tasks
		}
	}
	for name, g := range a.plugins {
		list = append(list, Status{Name: name, Plugin: true, Limit: g.limit, Pending: tasks[name] - g.running, Running: g.running, Since: g.head()})
	}
	slices.SortFunc(list, func(x, y Status) int {
		switch {
		case x.Plugin == y.Plugin:
			return strings.Compare(x.Name, y.Name)
		case x.Plugin:
			return 1
		}
		return -1
	})
	return list
}
