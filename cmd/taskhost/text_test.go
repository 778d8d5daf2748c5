package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\r\n\tc":               "a b c",
		"\x1b[31mred\x1b[0m\x07":    "[31mred [0m",
		"bad \xff utf-8":            "bad utf-8",
		"right\u202eto left":        "right to left",
		"  grüße  ":                 "grüße",
		"line\u2028break\u009b31m!": "line break 31m!",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestUnits(t *testing.T) {
	for in, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 256 << 20: "256 MiB", 5 << 30: "5 GiB"} {
		if got := bytesText(in); got != want {
			t.Errorf("%d: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[time.Duration]string{
		5 * time.Minute: "5m", 2 * time.Hour: "2h", 90 * time.Second: "1m30s", 1234 * time.Millisecond: "1.23s", 1234567: "1.23ms", 900: "900ns",
	} {
		if got := durationText(in); got != want {
			t.Errorf("%d: %s, want %s", in, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	tab := &table{}
	tab.add("NAME", "SIZE", "STATE")
	tab.add("größe", "1", "x")
	if err := tab.write(&b, nil); err != nil {
		t.Fatal(err)
	}
	if want := "NAME   SIZE  STATE\ngröße  1     x\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{usagef("no"), 2},
		{fmt.Errorf("x: %w", &reported{3}), 3},
		{&abi.Error{Code: abi.CodeNotFound}, 3},
		{fmt.Errorf("x: %w", &abi.Error{Code: abi.CodeRefused}), 3},
		{&abi.Error{Code: abi.CodeTimeout}, 124},
		{context.DeadlineExceeded, 124},
		{&abi.Error{Code: abi.CodeCancelled}, 130},
		{context.Canceled, 130},
		{&abi.Error{Code: abi.CodeTrap}, 1},
		{&abi.Error{Code: abi.CodeInvalid}, 1},
		{errors.New("disk full"), 1},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestExtensionFor(t *testing.T) {
	for _, c := range []struct{ output, input, want string }{
		{"<h1>Hi</h1>\n", ".md", ".html"},
		{"<!DOCTYPE html><html></html>", ".txt", ".html"},
		{"<p align=center>logo</p>\n\n# A readme in Markdown", ".md", ".md"},
		{"<svg></svg>", ".svg", ".svg"},
		{` {"a":1} `, ".txt", ".json"},
		{"[link] text", ".md", ".md"},
		{"text", "", ""},
		{"", ".md", ".md"},
	} {
		if got := extensionFor([]byte(c.output), c.input); got != c.want {
			t.Errorf("%q from %s: %s, want %s", c.output, c.input, got, c.want)
		}
	}
}

func TestFileLabelFits(t *testing.T) {
	for _, name := range []string{"a.md", strings.Repeat("x", 300), strings.Repeat("ü", 300), "a\nb\x1b[1m\xff"} {
		got := fileLabel(name)
		if len(got) > manager.MaxLabelValue || got == "" || oneLine(got) != got {
			t.Errorf("%q: %q", name, got)
		}
	}
}
