package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/cases"
	"github.com/taskhost/taskhost/internal/project"
)

func (a *app) testCommand() *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "run a plugin's test cases",
		UsageText: "taskhost test [FLAGS] [DIR]                         build the plugin in DIR (default: this folder), run DIR/cases\n" +
			"   taskhost test [FLAGS] -p FOLDER --cases CASES PLUGIN   a plugin of a plugin folder, as it is",
		Description: "A case is NAME.in, what goes in, and NAME.out, what must come out; NAME.json says more: the function, config, arguments, the error,\n" +
			"progress, metrics, ticks and log lines that must come. See docs/dev-loop.md.",
		Flags: append(a.commonFlags(),
			&cli.StringFlag{Name: "cases", Usage: "the folder `CASES` with the cases (default: DIR/cases)"},
			&cli.StringFlag{Name: "run", Usage: "run only cases whose names match the regular expression `PATTERN`"},
			&cli.BoolFlag{Name: "update", Usage: "write the outputs that differ, or are not there, into the cases", DisableDefaultText: true},
			&cli.BoolFlag{Name: "debug", Usage: "keep names and lines of the sources, for the stacks of traps", DisableDefaultText: true},
		),
		Action: a.testAction,
	}
}

// tested is the plugin that is tested.
type tested struct {
	project *project.Project // nil: the plugin is tested as it is
	dir     string           // the plugin folder
	name    string           // the plugin
	cases   string
	build   time.Duration // 0: it was not built
}

func (a *app) testAction(c *cli.Context) error {
	var match *regexp.Regexp
	var err error
	if pattern := c.String("run"); pattern != "" {
		if match, err = regexp.Compile(pattern); err != nil {
			return usagef("--run %s: %v", pattern, err)
		}
	}
	s, err := a.subject(c)
	if err != nil {
		return err
	}
	list, err := loadCases(s.cases, match)
	if err != nil {
		return err
	}
	if s.project != nil {
		s.project.Debug = c.Bool("debug")
		out, err := s.project.Build(c.Context, a.stderr)
		if err != nil {
			return err
		}
		s.dir, s.build = filepath.Dir(out.Plugin), out.Took
	}
	return a.runCases(c, s, list)
}

// subject finds what the command line is about, and builds nothing yet.
func (a *app) subject(c *cli.Context) (tested, error) {
	args := arguments(c)
	s := tested{cases: c.String("cases")}
	if c.String("plugins") != "" {
		if len(args) != 1 {
			return s, usagef("with -p, test needs one plugin: taskhost test -p FOLDER --cases CASES PLUGIN")
		}
		if s.cases == "" {
			return s, usagef("a plugin of a plugin folder has no cases beside it: name their folder with --cases CASES")
		}
		s.name = args[0]
		var err error
		if s.dir, err = a.pluginDir(c); err == nil && !inFolder(s.dir).has(s.name) {
			err = abi.Errorf(abi.CodeNotFound, "there is no plugin %s in %s; taskhost plugins -p %[2]s shows what there is", s.name, s.dir)
		}
		return s, err
	}
	var err error
	if s.project, err = loadProject(args); err != nil {
		return s, err
	}
	s.name = s.project.Name
	if s.cases == "" {
		s.cases = filepath.Join(shortPath(s.project.Dir), cases.Dir)
	}
	return s, nil
}

// loadCases loads the cases of a folder whose names match. That there is none is told, for a test that runs nothing tests nothing.
func loadCases(dir string, match *regexp.Regexp) ([]*cases.Case, error) {
	list, err := cases.Load(dir)
	if errors.Is(err, cases.ErrNone) {
		return nil, usagef("%v: write %s with an input, run taskhost test --update, and look at what it made", err, filepath.Join(dir, "first.in"))
	}
	if err != nil {
		return nil, usagef("%v", err)
	}
	if match == nil {
		return list, nil
	}
	var chosen []*cases.Case
	for _, k := range list {
		if match.MatchString(k.Name) {
			chosen = append(chosen, k)
		}
	}
	if len(chosen) == 0 {
		return nil, usagef("--run %s: none of the %d cases in %s matches", match, len(list), dir)
	}
	return chosen, nil
}

// testJSON is what test prints with --json.
type testJSON struct {
	Plugin   string     `json:"plugin"`
	Version  abi.Digest `json:"version"`
	Build    int64      `json:"build_ns,omitempty"`
	Duration int64      `json:"duration_ns"`
	Passed   int        `json:"passed"`
	Failed   int        `json:"failed"`
	Updated  int        `json:"updated,omitempty"`
	Cases    []caseJSON `json:"cases"`
}

// caseJSON is what came of one case.
type caseJSON struct {
	Name     string          `json:"name"`
	Status   cases.Status    `json:"status"`
	Problems []cases.Problem `json:"problems,omitempty"`
	Error    *abi.Error      `json:"error,omitempty"` // of the call, also where it must fail
	Usage    abi.Usage       `json:"usage"`
	Log      []abi.LogLine   `json:"log,omitempty"`
}

// runCases runs the cases and tells of each.
func (a *app) runCases(c *cli.Context, s tested, list []*cases.Case) error {
	ctx := c.Context
	p, err := a.newProbe(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	info, err := p.Load(ctx, s.dir, s.name, true)
	if err != nil {
		return err
	}
	began := time.Now()
	sum := testJSON{Plugin: s.name, Version: info.Digest, Build: int64(s.build), Cases: []caseJSON{}}
	width := 0
	for _, k := range list {
		width = max(width, len(k.Name))
	}
	err = cases.Run(ctx, p, s.name, list, c.Bool("update"), func(r cases.Report) {
		sum.add(r)
		if !c.Bool("json") {
			fmt.Fprint(a.stdout, a.caseText(r, width))
		}
	})
	if err != nil {
		return err
	}
	sum.Duration = int64(time.Since(began))
	if c.Bool("json") {
		err = a.printJSON(sum)
	} else {
		_, err = fmt.Fprint(a.stdout, sum.text())
	}
	if err == nil && sum.Failed > 0 {
		return &reported{exitFailed}
	}
	return err
}

// newProbe makes a probe with the host that all commands have.
func (a *app) newProbe(ctx context.Context) (*cases.Probe, error) {
	cfg := a.hostConfig("")
	if a.verbose > 1 {
		cfg.Logger, _ = a.logger()
	}
	return cases.NewProbe(ctx, cfg)
}

func (s *testJSON) add(r cases.Report) {
	switch r.Status {
	case cases.Passed:
		s.Passed++
	case cases.Failed:
		s.Failed++
	case cases.Updated:
		s.Updated++
	}
	j := caseJSON{Name: r.Case.Name, Status: r.Status, Problems: r.Problems, Error: r.Outcome.Err, Usage: r.Outcome.Usage}
	if r.Status == cases.Failed {
		j.Log = r.Outcome.Log
	}
	s.Cases = append(s.Cases, j)
}

// text is the last line.
func (s *testJSON) text() string {
	parts := []string{fmt.Sprintf("%d passed", s.Passed)}
	if s.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", s.Failed))
	}
	if s.Updated > 0 {
		parts = append(parts, fmt.Sprintf("%d updated", s.Updated))
	}
	text := s.Plugin + ": " + strings.Join(parts, ", ") + " in " + durationText(time.Duration(s.Duration))
	if s.Build > 0 {
		text += ", built in " + durationText(time.Duration(s.Build))
	}
	return text + "\n"
}

// caseText is what is told of a case: a line, and for one that failed what went wrong.
func (a *app) caseText(r cases.Report, width int) string {
	mark, colour := "✓", green
	switch r.Status {
	case cases.Failed:
		mark, colour = "✗", red
	case cases.Updated:
		mark, colour = "!", yellow
	case cases.Passed:
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-*s  %9s", a.paint(a.stdout, colour, mark), width, r.Case.Name, durationText(r.Outcome.Usage.Duration))
	if t := r.Outcome.Usage.Ticks; t > 0 {
		fmt.Fprintf(&b, "  %10d ticks", t)
	}
	if r.Status == cases.Updated {
		fmt.Fprintf(&b, "  wrote %s", r.Case.Output)
	}
	b.WriteByte('\n')
	if r.Status == cases.Failed {
		for _, p := range r.Problems {
			fmt.Fprintf(&b, "    %s\n%s", oneLine(p.Text), a.diffText("    ", p.Diff))
		}
		b.WriteString(a.failureText("    ", r.Outcome))
	}
	return b.String()
}

// diffText is a diff with an indent, in colours on a terminal.
func (a *app) diffText(indent, diff string) string {
	var b strings.Builder
	for line := range strings.Lines(diff) {
		text := safeLine(strings.TrimSuffix(line, "\n"))
		switch {
		case strings.HasPrefix(text, "-"):
			text = a.paint(a.stdout, red, text)
		case strings.HasPrefix(text, "+"):
			text = a.paint(a.stdout, green, text)
		case strings.HasPrefix(text, "@@"), strings.HasPrefix(text, "\\"):
			text = a.paint(a.stdout, dim, text)
		}
		b.WriteString(indent + text + "\n")
	}
	return b.String()
}

// maxDetailLines bounds what is shown of an error's detail.
const maxDetailLines = 60

// failureText is what else is known of a call that went wrong: the error's detail, such as the guest's stack, and what it logged last.
func (a *app) failureText(indent string, o cases.Outcome) string {
	var b strings.Builder
	logged := false
	if o.Err != nil {
		n := 0
		for line := range strings.Lines(o.Err.Detail) {
			if n++; n > maxDetailLines {
				b.WriteString(indent + "…\n")
				break
			}
			logged = logged || strings.HasPrefix(line, "last log lines")
			b.WriteString(indent + safeLine(strings.TrimRight(line, "\r\n")) + "\n")
		}
	}
	if !logged {
		b.WriteString(a.logText(indent, o.Log))
	}
	return b.String()
}

// logText is what a plugin logged last.
func (a *app) logText(indent string, log []abi.LogLine) string {
	var b strings.Builder
	for _, l := range log {
		fmt.Fprintf(&b, "%s%s %s\n", indent, a.paint(a.stdout, dim, fmt.Sprintf("log %-5s", l.Level)), oneLine(l.Text))
	}
	return b.String()
}

// safeLine makes a line safe to print as it is: tabs and spaces stay, other control characters are shown by their pictures.
func safeLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r < ' ':
			return '␀' + r
		case r == 0x7f:
			return '␡'
		case r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // the latter change the order of what follows
			return '�'
		}
		return r
	}, s)
}
