package agenda

import (
	"context"
	"slices"
	"time"
)

// lease is a claim on an entry for a limited time.
type lease[P any] struct {
	e          *Entry[P]
	token      uint64
	ends       int64
	prev, next *lease[P]
	listed     bool
}

// leases are in the order of their ends, which is nearly always that of the claims.
type leases[P any] struct {
	first, last *lease[P]
	spare       *lease[P] // those that ended, linked by next
}

func (l *leases[P]) make() *lease[P] {
	n := l.spare
	if n == nil {
		return new(lease[P])
	}
	l.spare = n.next
	n.next = nil
	return n
}

func (l *leases[P]) free(n *lease[P]) {
	*n = lease[P]{next: l.spare}
	l.spare = n
}

func (l *leases[P]) insert(n *lease[P]) {
	at := l.last
	for at != nil && at.ends > n.ends {
		at = at.prev
	}
	n.prev, n.listed = at, true
	if at == nil {
		n.next, l.first = l.first, n
	} else {
		n.next, at.next = at.next, n
	}
	if n.next == nil {
		l.last = n
	} else {
		n.next.prev = n
	}
}

func (l *leases[P]) remove(n *lease[P]) {
	if !n.listed {
		return
	}
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next, n.listed = nil, nil, false
}

// Claim waits for an entry that can be worked on, leases it and calls take with it. It takes the lock itself, and take runs under it.
// When ctx ends it returns ctx's error.
func (a *Agenda[P]) Claim(ctx context.Context, ttl time.Duration, take func(e *Entry[P], token uint64, ends time.Time)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for {
		a.Lock()
		now := time.Now()
		if e := a.next(now.UnixNano()); e != nil {
			ends := now.Add(ttl)
			a.grant(e, ends.UnixNano())
			take(e, e.lease.token, ends)
			a.pass(now.UnixNano())
			a.Unlock()
			return nil
		}
		wake := make(chan struct{}, 1)
		a.waiting = append(a.waiting, wake)
		a.setAlarm()
		a.Unlock()

		select {
		case <-wake:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			a.giveUp(wake)
			return err
		}
	}
}

// grant leases an entry that next gave.
func (a *Agenda[P]) grant(e *Entry[P], ends int64) {
	if e.lease == nil {
		e.lease = a.leases.make()
	}
	a.tokens++
	e.lease.e, e.lease.token, e.lease.ends = e, a.tokens, ends
	a.leases.insert(e.lease)
	e.state = leased
}

// Held reports whether the token is that of the entry's lease.
func (e *Entry[P]) Held(token uint64) bool {
	return e.lease != nil && token != 0 && e.lease.token == token && e.state == leased
}

// Token is that of the entry's lease; 0: none.
func (e *Entry[P]) Token() uint64 {
	if e.lease == nil {
		return 0
	}
	return e.lease.token
}

// Extend makes the lease of an entry, which is held, end later.
func (a *Agenda[P]) Extend(e *Entry[P], ends time.Time) {
	a.leases.remove(e.lease)
	e.lease.ends = ends.UnixNano()
	a.leases.insert(e.lease)
}

// Lose makes an entry that was added claimable before all others, as if its lease had run out: its worker is known to be gone.
func (a *Agenda[P]) Lose(e *Entry[P]) {
	if x := e.extra; x != nil && x.line != nil && x.line.active == nil {
		x.line.enter(e)
	}
	a.leave(e)
	a.count(e)
	a.hurry(e, e.since)
}

// hurry makes an entry urgent.
func (a *Agenda[P]) hurry(e *Entry[P], key int64) {
	e.state = urgent
	a.urgent.push(key, e)
	a.wake()
}

// next takes the most urgent entry that can be worked on from its place; nil: there is none.
func (a *Agenda[P]) next(now int64) *Entry[P] {
	a.promote(now)
	if it := a.urgent.first(inState[P]); it != nil {
		return a.urgent.pop().e
	}
	for {
		q := a.pick(now)
		if q == nil {
			if a.unpark(now) {
				continue
			}
			return nil
		}
		e := q.ready.pop().e
		a.rest(q)
		if g := e.sort.closed(now); g != nil {
			a.park(e, g)
			continue
		}
		e.state = gone // until it is granted
		e.queue.spend(now)
		for _, g := range e.sort.groups {
			g.spend(now)
		}
		a.count(e)
		return e
	}
}

// pick chooses the queue that goes next: of those that are open and have something ready the one with the fewest tasks running, and
// among equals the one whose first task is most urgent. Nil: there is none.
func (a *Agenda[P]) pick(now int64) *group[P] {
	var best *group[P]
	var first item[P]
	for i := 0; i < len(a.busy); {
		q := a.busy[i]
		it := q.ready.first(inState[P])
		if it == nil {
			a.rest(q) // another takes its place in busy
			continue
		}
		i++
		if q.opens(now) != 0 {
			continue
		}
		if best == nil || q.running < best.running || (q.running == best.running && it.less(first)) {
			best, first = q, *it
		}
	}
	return best
}

// promote makes ready what has become due, urgent what nobody holds any more or what has expired, and opens plugins that may go on.
func (a *Agenda[P]) promote(now int64) {
	for it := a.delayed.first(inState[P]); it != nil && it.key <= now; it = a.delayed.first(inState[P]) {
		e := a.delayed.pop().e
		a.makeReady(e)
	}
	for l := a.leases.first; l != nil && l.ends <= now; l = a.leases.first {
		a.leases.remove(l)
		a.hurry(l.e, l.ends)
	}
	for it := a.expiry.first(expires[P]); it != nil && it.key <= now; it = a.expiry.first(expires[P]) {
		e := a.expiry.pop().e
		e.extra.expires = 0
		if e.state != leased && e.state != urgent {
			a.leave(e)
			a.hurry(e, it.key)
		}
	}
	if len(a.closed) > 0 {
		a.unpark(now)
	}
}

// claimable reports whether another claim may find something.
func (a *Agenda[P]) claimable(now int64) bool {
	if !a.urgent.empty() {
		return true
	}
	for g := range a.closed {
		if g.opens(now) == 0 {
			return true
		}
	}
	return slices.ContainsFunc(a.busy, func(q *group[P]) bool { return !q.ready.empty() && q.opens(now) == 0 })
}

// pass lets the next claim that waits have a look, if there may be something for it.
func (a *Agenda[P]) pass(now int64) {
	switch {
	case len(a.waiting) == 0:
	case a.claimable(now):
		a.wake()
	case a.alarm == nil:
		a.setAlarm()
	}
}

// giveUp takes a claim off the list; if it was woken already, it wakes another.
func (a *Agenda[P]) giveUp(wake chan struct{}) {
	a.Lock()
	defer a.Unlock()
	if i := slices.Index(a.waiting, wake); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	} else {
		a.pass(now())
	}
	if len(a.waiting) == 0 {
		a.clearAlarm()
	}
}

// wake wakes the claim that has waited longest.
func (a *Agenda[P]) wake() {
	if len(a.waiting) == 0 {
		return
	}
	a.waiting[0] <- struct{}{} // has room: a channel is woken once
	a.waiting[0] = nil
	a.waiting = a.waiting[1:]
}

// setAlarm sets the alarm to the next time at which time alone makes something claimable, if anybody waits for it.
func (a *Agenda[P]) setAlarm() {
	if len(a.waiting) == 0 {
		return
	}
	at := a.nextTime()
	if at == 0 || (a.alarm != nil && a.alarmAt <= at) {
		return
	}
	a.clearAlarm()
	a.alarmAt = at
	a.alarm = time.AfterFunc(time.Duration(at-now()), a.ring)
}

// nextTime is that time; 0: never.
func (a *Agenda[P]) nextTime() (at int64) {
	earlier := func(t int64) {
		if t != 0 && t != never && (at == 0 || t < at) {
			at = t
		}
	}
	if it := a.delayed.first(inState[P]); it != nil {
		earlier(it.key)
	}
	if it := a.expiry.first(expires[P]); it != nil {
		earlier(it.key)
	}
	if l := a.leases.first; l != nil {
		earlier(l.ends)
	}
	now := now()
	for _, q := range a.busy {
		earlier(q.opens(now))
	}
	for g := range a.closed {
		earlier(g.opens(now))
	}
	return at
}

func (a *Agenda[P]) clearAlarm() {
	if a.alarm != nil {
		a.alarm.Stop()
		a.alarm = nil
	}
}

// ring wakes a claim, which lets the next one have a look, or sets the alarm again.
func (a *Agenda[P]) ring() {
	a.Lock()
	defer a.Unlock()
	a.alarm = nil
	a.wake()
}
