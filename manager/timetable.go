package manager

import (
	"strings"
	"time"

	"github.com/netresearch/go-cron"

	"github.com/taskhost/taskhost/abi"
)

// Bounds on Schedule.Cron and Schedule.TimeZone, in bytes, and on the time of "@every".
const (
	maxCron     = 256
	maxTimeZone = 64
	minEvery    = time.Second
	maxEvery    = 366 * 24 * time.Hour
)

// searchYears is how far ahead a cron expression is looked for: further than 29 February is from the next one.
const searchYears = 10

var cronParser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom | cron.Descriptor).
	WithMaxSearchYears(searchYears)

// timetable is when a schedule runs: every so often, or when its fields match the clock on the wall of its zone.
type timetable struct {
	zone   *time.Location
	every  time.Duration
	fields *cron.SpecSchedule
	hourly bool // every hour matches, so the table goes by the time that passes, and not by the clock
}

// parseTimetable reads a Schedule's Cron and TimeZone. Errors are CodeInvalid.
func parseTimetable(expr, zone string) (timetable, error) {
	var c timetable
	if len(expr) > maxCron {
		return c, abi.Errorf(abi.CodeInvalid, "the cron expression has %d bytes; at most %d are allowed", len(expr), maxCron)
	}
	if len(zone) > maxTimeZone || zone == "Local" {
		return c, abi.Errorf(abi.CodeInvalid, "%.80q is no time zone: write for example Europe/Berlin", zone)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return c, abi.Errorf(abi.CodeInvalid, "the time zone %q is not known here: %w", zone, err)
	}
	c.zone = loc
	if text, ok := strings.CutPrefix(expr, "@every "); ok {
		c.every, err = time.ParseDuration(strings.TrimSpace(text))
		if err != nil || c.every < minEvery || c.every > maxEvery {
			return c, abi.Errorf(abi.CodeInvalid, "%q needs a time between %v and %v, such as 10m", expr, minEvery, maxEvery)
		}
		return c, nil
	}
	if strings.Contains(expr, "=") {
		return c, abi.Errorf(abi.CodeInvalid, "the cron expression %q has a zone in it: it goes into time_zone", expr)
	}
	parsed, err := cronParser.Parse(expr)
	if err != nil {
		return c, abi.Errorf(abi.CodeInvalid, "the cron expression %q cannot be read: %w", expr, err)
	}
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return c, abi.Errorf(abi.CodeInvalid, "the cron expression %q cannot be read: write five fields, @hourly, @daily, @weekly, @monthly, @yearly or @every", expr)
	}
	fields.Location = time.UTC // it is asked for clocks on walls, which know no zone
	const allHours = 1<<24 - 1
	c.fields, c.hourly = fields, fields.Hour&allHours == allHours
	if fields.Next(onWall(time.Now())).IsZero() {
		return c, abi.Errorf(abi.CodeInvalid, "the cron expression %q never matches: no month that it names has such a day", expr)
	}
	return c, nil
}

// first returns the first time from now on.
func (c *timetable) first() time.Time {
	now := now()
	return c.next(now, now)
}

// next returns the first time after t, in UTC. Where the table only says how often, times are counted from base, which is one of them.
// The zero time: there is none.
func (c *timetable) next(base, t time.Time) time.Time {
	var at time.Time
	switch {
	case c.every > 0:
		at = base
		if !at.After(t) {
			at = at.Add((t.Sub(at)/c.every + 1) * c.every)
		}
	case c.hourly:
		at = c.nextPassed(t)
	default:
		at = c.nextOnClock(t)
	}
	return at.UTC()
}

// last returns the latest time that has come by now; at is one of them. The zero time: it is before since.
func (c *timetable) last(at, since, now time.Time) time.Time {
	if next := c.next(at, at); next.IsZero() || next.After(now) {
		return at
	}
	if at.After(since) {
		since = at
	}
	var last time.Time
	for t := c.next(at, since.Add(-1)); !t.IsZero() && !t.After(now); t = c.next(at, t) {
		last = t
	}
	return last
}

// nextPassed is next for a table that takes every hour, those that the clock shows twice both times. Between two changes of the
// clock, wall and time go alike.
func (c *timetable) nextPassed(t time.Time) time.Time {
	t = t.In(c.zone)
	wall := onWall(t)
	for {
		at := c.fields.Next(wall)
		if at.IsZero() {
			return at
		}
		_, offset := t.Zone()
		at = at.Add(-time.Duration(offset) * time.Second)
		_, end := t.ZoneBounds()
		if end.IsZero() || at.Before(end) {
			return at
		}
		t = end
		wall = onWall(t).Add(-time.Second) // the very moment of the change may match
	}
}

// nextOnClock is next for a table of certain hours.
func (c *timetable) nextOnClock(t time.Time) time.Time {
	wall := onWall(t.In(c.zone))
	for {
		if wall = c.fields.Next(wall); wall.IsZero() {
			return wall
		}
		if at := c.when(wall); at.After(t) {
			return at
		}
	}
}

// when returns the moment at which the clock on the wall shows a time: the first of two, and the moment of the change for a time that
// the clock leaves out.
func (c *timetable) when(wall time.Time) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, c.zone)
	start, end := t.ZoneBounds()
	switch shown := onWall(t); {
	case shown.Before(wall):
		return end
	case shown.After(wall):
		return start
	case start.IsZero():
		return t
	}
	_, offset := t.Zone()
	_, before := start.Add(-time.Second).Zone()
	if first := t.Add(-time.Duration(before-offset) * time.Second); before > offset && first.Before(start) {
		return first
	}
	return t
}

// onWall is what the clock on the wall shows at t, as a time in UTC.
func onWall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
