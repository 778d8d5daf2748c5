package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder lets flags stand anywhere: before the command's name, between its arguments and after them. It returns the command's name,
// the flags, "--" and the arguments, which is the one order that cli takes. What follows a "--" is an argument; that "--" stays
// among the arguments, for commands that give it a meaning (see arguments).
// Short flags may be written together (-vv) and with their value (-j4).
func reorder(commands []*cli.Command, global []cli.Flag, args []string) ([]string, error) {
	known := flagTable{}
	known.add(global)
	for _, c := range commands {
		known.add(c.Flags)
	}
	var flags []given
	var rest []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			rest = append(append(rest, arg), args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		found, used, err := known.parse(arg, args)
		if err != nil {
			return nil, err
		}
		flags = append(flags, found...)
		args = args[used:]
	}
	var name []string
	own := flagTable{}
	own.add(global)
	if len(rest) > 0 {
		if rest[0] == "--" {
			return nil, usagef("name a command before --; see --help")
		}
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
		if i < 0 {
			return nil, unknownCommand(commands, rest[0])
		}
		name, rest = rest[:1], rest[1:]
		own.add(commands[i].Flags)
	}
	out := slices.Clone(name)
	for _, f := range flags {
		if _, ok := own[f.name]; !ok {
			return nil, known.notOf(name, f, commands)
		}
		out = append(out, f.text)
	}
	if len(rest) > 0 {
		out = append(append(out, "--"), rest...)
	}
	return out, nil
}

// arguments returns a command's arguments without the "--" that only ended the flags.
func arguments(c *cli.Context) []string {
	args := slices.Clone(c.Args().Slice())
	if i := slices.Index(args, "--"); i >= 0 {
		return slices.Delete(args, i, i+1)
	}
	return args
}

// countVerbose tells how often reordered arguments have -v.
func countVerbose(args []string) (n int) {
	for _, arg := range args {
		switch arg {
		case "--":
			return n
		case "-v", "--v", "-verbose", "--verbose":
			n++
		}
	}
	return n
}

// given is one flag of the command line, with its value, as one argument.
type given struct{ name, text string }

// flagTable holds the names of flags and whether each takes a value.
type flagTable map[string]bool

func (t flagTable) add(flags []cli.Flag) {
	for _, f := range flags {
		takes := false
		if d, ok := f.(cli.DocGenerationFlag); ok {
			takes = d.TakesValue()
		}
		for _, name := range f.Names() {
			t[name] = takes
		}
	}
}

// parse reads the flag arg, which may take its value from next. It tells how many of next it used.
func (t flagTable) parse(arg string, next []string) (flags []given, used int, err error) {
	name, _, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	takes, ok := t[name]
	switch {
	case !ok && !strings.HasPrefix(arg, "--"):
		return t.parseShort(arg, next)
	case !ok:
		return nil, 0, usagef("there is no flag --%s%s", name, t.suggest(name))
	case !takes || hasValue:
		return []given{{name, arg}}, 0, nil
	case len(next) == 0:
		return nil, 0, usagef("%s needs a value", arg)
	}
	return []given{{name, "--" + name + "=" + next[0]}}, 1, nil
}

// parseShort reads short flags written together, the last of which may have its value attached or as the next argument.
func (t flagTable) parseShort(arg string, next []string) (flags []given, used int, err error) {
	for i := 1; i < len(arg); i++ {
		name := arg[i : i+1]
		takes, ok := t[name]
		if !ok {
			return nil, 0, usagef("there is no flag %s%s", arg, t.suggest(strings.TrimLeft(arg, "-")))
		}
		if !takes {
			flags = append(flags, given{name, "-" + name})
			continue
		}
		value := arg[i+1:]
		if value == "" {
			if len(next) == 0 {
				return nil, 0, usagef("-%s needs a value", name)
			}
			value, used = next[0], 1
		}
		return append(flags, given{name, "--" + name + "=" + value}), used, nil
	}
	return flags, 0, nil
}

func (t flagTable) suggest(name string) string {
	var flags []cli.Flag
	for known := range t {
		flags = append(flags, &cli.BoolFlag{Name: known})
	}
	slices.SortFunc(flags, func(a, b cli.Flag) int { return strings.Compare(a.Names()[0], b.Names()[0]) })
	if s := cli.SuggestFlag(flags, name, true); s != "" && closeTo(name, strings.TrimLeft(s, "-")) {
		return fmt.Sprintf("; did you mean %s?", s)
	}
	return "; see --help"
}

// notOf says that the command has no such flag, and which ones have it.
func (t flagTable) notOf(name []string, f given, commands []*cli.Command) error {
	var having []string
	for _, c := range commands {
		own := flagTable{}
		own.add(c.Flags)
		if _, ok := own[f.name]; ok {
			having = append(having, c.Name)
		}
	}
	flag, _, _ := strings.Cut(f.text, "=")
	if len(name) == 0 {
		return usagef("%s needs a command: %s", flag, strings.Join(having, ", "))
	}
	return usagef("%s has no flag %s (%s has); see taskhost %s --help", name[0], flag, strings.Join(having, ", "), name[0])
}

func unknownCommand(commands []*cli.Command, name string) error {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return usagef("there is no command %q%s; there are: %s", name, didYouMean(name, names), strings.Join(names, ", "))
}
