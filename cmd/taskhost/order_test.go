package main

import (
	"testing"
	"time"

	"github.com/taskhost/taskhost/manager"
)

// TestParseTime: a time is read in the local zone unless it names one, and a time of day is the next one.
func TestParseTime(t *testing.T) {
	zone := time.FixedZone("there", 2*60*60)
	now := time.Date(2026, 3, 31, 12, 30, 15, 0, zone)
	for in, want := range map[string]time.Time{
		"2026-04-01T00:00:00Z":      time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC),
		"2026-04-01T00:00:00+02:00": time.Date(2026, 4, 1, 0, 0, 0, 0, zone),
		"2026-04-01 06:07":          time.Date(2026, 4, 1, 6, 7, 0, 0, zone),
		"2026-04-01 06:07:08":       time.Date(2026, 4, 1, 6, 7, 8, 0, zone),
		"2026-04-01T06:07":          time.Date(2026, 4, 1, 6, 7, 0, 0, zone),
		"2026-04-01":                time.Date(2026, 4, 1, 0, 0, 0, 0, zone),
		"13:00":                     time.Date(2026, 3, 31, 13, 0, 0, 0, zone),
		"12:30":                     time.Date(2026, 4, 1, 12, 30, 0, 0, zone),
		"12:30:16":                  time.Date(2026, 3, 31, 12, 30, 16, 0, zone),
	} {
		if got, err := parseTime(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "noon", "25:00", "2026-13-01", "1h"} {
		if got, err := parseTime(in, now); exitCode(err) != exitUsage {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]manager.Rate{
		"0": {}, "10/1s": {Tasks: 10, Per: time.Second}, "1/m": {Tasks: 1, Per: time.Minute}, "100/1h30m": {Tasks: 100, Per: 90 * time.Minute},
	} {
		if got, err := parseRate(in); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "10", "/", "10/", "/s", "0/1s", "-1/1s", "10/-1s", "10/0s", "ten/1s", "1/x"} {
		if got, err := parseRate(in); exitCode(err) != exitUsage {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestAgeText(t *testing.T) {
	for in, want := range map[time.Duration]string{
		-time.Second: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m", 47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		if got := ageText(in); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
}
