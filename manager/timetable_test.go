package manager

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // for systems that have none

	"github.com/taskhost/taskhost/abi"
)

// times are the next n times of a table after from, with the zone's offset.
func times(t *testing.T, expr, zone, from string, n int) []string {
	t.Helper()
	c, err := parseTimetable(expr, zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for range n {
		at = c.next(at, at)
		list = append(list, at.In(c.zone).Format("01-02T15:04Z07:00"))
	}
	return list
}

func TestTimetable(t *testing.T) {
	for _, c := range []struct {
		expr, zone, from string
		want             []string
	}{
		{"0 3 * * *", "UTC", "2026-01-31T03:00:00Z", []string{"02-01T03:00Z", "02-02T03:00Z"}},
		{"@daily", "Europe/Berlin", "2026-01-31T03:00:00Z", []string{"02-01T00:00+01:00", "02-02T00:00+01:00"}},
		{"@weekly", "UTC", "2026-01-01T00:00:00Z", []string{"01-04T00:00Z"}},
		{"@monthly", "UTC", "2026-01-01T00:00:00Z", []string{"02-01T00:00Z"}},
		{"@yearly", "UTC", "2026-01-01T00:00:00Z", []string{"01-01T00:00Z"}},
		{"@hourly", "Asia/Kolkata", "2026-01-01T00:00:00Z", []string{"01-01T06:00+05:30"}},
		{"@every 90m", "UTC", "2026-01-01T00:10:00Z", []string{"01-01T01:40Z", "01-01T03:10Z"}},
		{"30 8 1 * mon", "UTC", "2026-01-01T00:00:00Z", []string{"01-01T08:30Z", "01-05T08:30Z"}}, // either day
		{"0 0 * * 7", "UTC", "2026-01-01T00:00:00Z", []string{"01-04T00:00Z"}},
		{"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"02-29T00:00Z"}}, // 2104

		// The clock leaves out 02:00 to 03:00.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"03-29T03:00+02:00", "03-30T02:30+02:00"}},
		{"0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"03-29T03:00+02:00", "03-29T03:30+02:00", "03-30T02:00+02:00"}},
		{"30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"03-29T01:30+01:00", "03-29T03:30+02:00"}},
		{"0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"03-29T03:00+02:00", "03-29T04:00+02:00"}},
		// It shows 02:00 to 03:00 twice.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"10-25T02:30+02:00", "10-26T02:30+01:00"}},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", []string{"10-26T02:30+01:00"}}, // set in between
		{"0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"10-25T03:00+01:00", "10-26T03:00+01:00"}},
		{"30 * * * *", "Europe/Berlin", "2026-10-24T23:40:00Z", []string{"10-25T02:30+02:00", "10-25T02:30+01:00", "10-25T03:30+01:00"}},
		{"0 */2 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", []string{"10-25T02:00+02:00", "10-25T04:00+01:00"}},
		// Midnight is left out, or comes back; half an hour is.
		{"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{"11-04T01:00-02:00", "11-05T00:00-02:00"}},
		{"30 23 * * *", "Africa/Cairo", "2026-10-28T22:00:00Z", []string{"10-29T23:30+03:00", "10-30T23:30+02:00"}},
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", []string{"10-04T02:30+11:00", "10-05T02:15+11:00"}},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", []string{"04-05T01:45+11:00", "04-06T01:45+10:30"}},
		{"*/20 * * * *", "Australia/Lord_Howe", "2026-04-04T14:20:00Z", []string{"04-05T01:40+11:00", "04-05T01:40+10:30", "04-05T02:00+10:30"}},
	} {
		if got := times(t, c.expr, c.zone, c.from, len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("%q in %s after %s: %q, want %q", c.expr, c.zone, c.from, got, c.want)
		}
	}
}

// TestTimetableAgainstTheClock walks over a year: a table of every hour has all that matches, one of certain hours what the clock
// shows or passes for the first time.
func TestTimetableAgainstTheClock(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		all, err1 := parseTimetable("*/15 * * * *", zone)
		some, err2 := parseTimetable("*/15 0-12,14-23 * * *", zone)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		const step = 15 * time.Minute
		from := time.Date(2011, 12, 20, 0, 0, 0, 0, time.UTC)
		atAll, atSome := all.next(from, from), some.next(from, from)
		highest := onWall(from.In(loc)) // what the clock has shown
		for at := from.Add(step); at.Before(from.AddDate(1, 0, 0)); at = at.Add(step) {
			wall := onWall(at.In(loc))
			if !atAll.Equal(at) {
				t.Fatalf("every hour in %s: %v, but next is %v", zone, at.In(loc), atAll.In(loc))
			}
			atAll = all.next(at, at)
			matches := false
			for ; highest.Before(wall); highest = highest.Add(step) {
				matches = matches || highest.Add(step).Hour() != 13
			}
			if matches != atSome.Equal(at) {
				t.Fatalf("some hours in %s: %v, but next is %v", zone, at.In(loc), atSome.In(loc))
			} else if matches {
				atSome = some.next(at, at)
			}
		}
	}
}

func TestTimetableRefuses(t *testing.T) {
	for _, c := range []struct{ expr, zone, want string }{
		{"0 0 30 2 *", "UTC", "never matches"},
		{"0 0 31 4,6,9,11 *", "UTC", "never matches"},
		{"", "UTC", "cannot be read"},
		{"* * * *", "UTC", "expected exactly 5 fields"},
		{"* * * * * *", "UTC", "expected exactly 5 fields"},
		{"60 * * * *", "UTC", "above maximum"},
		{"*/90 * * * *", "UTC", "step"},
		{"a * * * *", "UTC", "cannot be read"},
		{"0 0 L * *", "UTC", "cannot be read"},
		{"H * * * *", "UTC", "cannot be read"},
		{"@reboot", "UTC", "cannot be read"},
		{"@triggered", "UTC", "cannot be read"},
		{"TZ=Europe/Berlin 0 3 * * *", "UTC", "time_zone"},
		{"CRON_TZ=", "UTC", "time_zone"},
		{"@every 10", "UTC", "needs a time between"},
		{"@every -1m", "UTC", "needs a time between"},
		{"@every 10ms", "UTC", "needs a time between"},
		{"@every 10000h", "UTC", "needs a time between"},
		{strings.Repeat("0", 300) + " * * * *", "UTC", "bytes"},
		{"@daily", "Europe/Nowhere", "not known"},
		{"@daily", "Local", "is no time zone"},
		{"@daily", "../../etc/passwd", "not known"},
	} {
		if _, err := parseTimetable(c.expr, c.zone); abi.CodeOf(err) != abi.CodeInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q in %q: %v, want %q", c.expr, c.zone, err, c.want)
		}
	}
}

func TestTimetableLast(t *testing.T) {
	at := time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		expr string
		ago  time.Duration
		want time.Duration // after at; -1: none
	}{
		{"@hourly", 0, 0},
		{"@hourly", 50 * time.Minute, 0},                        // the only one
		{"@hourly", time.Hour, time.Hour},                       // two
		{"@hourly", 5*time.Hour + 30*time.Minute, -1},           // long ago
		{"@hourly", 5*time.Hour + 2*time.Minute, 5 * time.Hour}, // just
		{"@every 10s", 1000*time.Hour + 1, 1000 * time.Hour},    // many
		{"@every 10s", 25 * time.Second, 20 * time.Second},      // few
		{"* * * * *", 87600 * time.Hour, 87600 * time.Hour},     // years
		{"@every 7m", 7*time.Minute - time.Second, 0},           // not yet
		{"@every 7m", 130 * time.Minute, -1},
	} {
		table, err := parseTimetable(c.expr, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		now := at.Add(c.ago)
		got := table.last(at, now.Add(-scheduleLate), now)
		want := at.Add(c.want)
		if c.want < 0 {
			want = time.Time{}
		}
		if !got.Equal(want) {
			t.Errorf("%s after %v: %v, want %v", c.expr, c.ago, got, want)
		}
	}
}

func FuzzTimetable(f *testing.F) {
	f.Add("*/5 0-12 * jan-mar mon,7", "Europe/Berlin", int64(1_774_000_000))
	f.Add("@every 10m", "UTC", int64(0))
	f.Add("0 0 30 2 *", "Africa/Cairo", int64(4_000_000_000))
	f.Fuzz(func(t *testing.T, expr, zone string, unix int64) {
		c, err := parseTimetable(expr, zone)
		if err != nil {
			if abi.CodeOf(err) != abi.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		at := time.Unix(unix%(1<<34), 0)
		next := c.next(at, at)
		if !next.After(at) {
			t.Fatalf("%v after %v", next, at)
		}
		if c.last(next, at, next).IsZero() {
			t.Fatalf("%v has not come", next)
		}
	})
}
