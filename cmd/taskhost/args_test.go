package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func testCommands() []*cli.Command {
	return []*cli.Command{
		{Name: "run", Flags: []cli.Flag{
			&cli.StringFlag{Name: "plugins", Aliases: []string{"p"}},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}},
			&cli.IntFlag{Name: "jobs", Aliases: []string{"j"}},
		}},
		{Name: "plugins", Flags: []cli.Flag{&cli.BoolFlag{Name: "json"}}},
	}
}

func TestReorder(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"run":                          "run",
		"run a b":                      "run -- a b",
		"run -v a -p D b":              "run -v --p=D -- a b",
		"-p D run a -v":                "run --p=D -v -- a",
		"run a --plugins=D":            "run --plugins=D -- a",
		"run a --plugins D=E":          "run --plugins=D=E -- a",
		"run -vv -j4 a":                "run -v -v --j=4 -- a",
		"run -vj 4 a":                  "run -v --j=4 -- a",
		"run -vpD a":                   "run -v --p=D -- a",
		"run -p -v a":                  "run --p=-v -- a",
		"run -p -- a":                  "run --p=-- -- a",
		"run -v a -- -p b":             "run -v -- a -- -p b",
		"run -- -v":                    "run -- -- -v",
		"run - -v":                     "run -v -- -",
		"--help":                       "--help",
		"run --help":                   "run --help",
		"--help run":                   "run --help",
		"plugins --json":               "plugins --json",
		"nope":                         `! there is no command "nope"; there are: run, plugins`,
		"rum":                          `! there is no command "rum"; did you mean run?; there are: run, plugins`,
		"run --plugin D":               "! there is no flag --plugin; did you mean --plugins?",
		"run -x":                       "! there is no flag -x; see --help",
		"run -p":                       "! -p needs a value",
		"run -vp":                      "! -p needs a value",
		"run --json":                   "! run has no flag --json (plugins has); see taskhost run --help",
		"--json":                       "! --json needs a command: plugins",
		"-- run":                       "! name a command before --; see --help",
		"run --zzzzzzzzzzzzzzzzzzzz=1": "! there is no flag --zzzzzzzzzzzzzzzzzzzz; see --help",
	} {
		got, err := reorder(testCommands(), []cli.Flag{cli.HelpFlag}, strings.Fields(in))
		text := strings.Join(got, " ")
		if err != nil {
			text = "! " + err.Error()
			if exitCode(err) != exitUsage {
				t.Errorf("%q: exit code %d", in, exitCode(err))
			}
		}
		if text != want {
			t.Errorf("%q: %s\nwant: %s", in, text, want)
		}
	}
}

// TestFlagsAgree: a flag has the same kind in every command, so that flags before the command's name can be read.
func TestFlagsAgree(t *testing.T) {
	a := app{}
	takes := map[string]bool{}
	for _, c := range a.program().Commands {
		own := flagTable{}
		own.add(c.Flags)
		for name, v := range own {
			if before, ok := takes[name]; ok && before != v {
				t.Errorf("--%s of %s takes a value: %v; elsewhere: %v", name, c.Name, v, before)
			}
			takes[name] = v
		}
	}
}

// FuzzReorder: whatever is typed, no argument gets lost and no argument becomes a flag.
func FuzzReorder(f *testing.F) {
	for _, seed := range []string{"run\x00a\x00-v", "run\x00-vpD\x00--\x00-x", "-p\x00D\x00run", "--\x00", "run\x00-\x00--=\x00-=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		in := strings.Split(line, "\x00")
		got, err := reorder(testCommands(), []cli.Flag{cli.HelpFlag}, slices.Clone(in))
		if err != nil || len(got) == 0 {
			return
		}
		for i, arg := range got {
			if arg == "--" {
				for _, rest := range got[i+1:] {
					if !slices.Contains(in, rest) {
						t.Errorf("%q: the argument %q came from nowhere", in, rest)
					}
				}
				return
			}
			if i > 0 && !strings.HasPrefix(arg, "-") {
				t.Errorf("%q: %q stands between the flags", in, arg)
			}
		}
	})
}
