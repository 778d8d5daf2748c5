package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder lets flags stand anywhere: before the command's name, between its arguments and after them. It returns the command's name,
// for a group of commands with that of the one in it, the flags, "--" and the arguments, which is the one order that cli takes. What
// follows a "--" is an argument; that "--" stays among the arguments, for commands that give it a meaning (see arguments).
// Short flags may be written together (-vv) and with their value (-j4). Flags that only commands of a group have stand behind its name.
func reorder(commands []*cli.Command, global []cli.Flag, args []string) ([]string, error) {
	p := parser{commands: commands, among: commands, known: flagTable{}, own: flagTable{}}
	for _, c := range slices.Backward(commands) { // where two disagree about a flag before the command's name, the first counts
		p.known.add(c.Flags)
	}
	p.known.add(global)
	p.own.add(global)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			if p.command == nil {
				return nil, usagef("name a command before --; see --help")
			}
			p.rest = append(append(p.rest, arg), args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			if err := p.word(arg); err != nil {
				return nil, err
			}
			continue
		}
		found, used, err := p.known.parse(arg, args)
		if err != nil {
			return nil, err
		}
		p.flags = append(p.flags, found...)
		args = args[used:]
	}
	return p.result()
}

// parser is the state of reorder.
type parser struct {
	commands []*cli.Command
	among    []*cli.Command // those that the next word may name; none: it is an argument
	command  *cli.Command   // the one named last
	name     []string
	flags    []given
	rest     []string
	known    flagTable // flags that are understood here
	own      flagTable // flags that the command has
}

// word takes an argument that is no flag.
func (p *parser) word(arg string) error {
	if len(p.among) == 0 {
		p.rest = append(p.rest, arg)
		return nil
	}
	i := slices.IndexFunc(p.among, func(c *cli.Command) bool { return c.HasName(arg) })
	if i < 0 {
		if p.command != nil && p.command.Action != nil && didYouMean(arg, commandNames(p.among)) == "" { // a command that is more than its group
			p.among, p.rest = nil, append(p.rest, arg)
			return nil
		}
		return unknownCommand(p.among, p.name, arg)
	}
	p.command, p.name = p.among[i], append(p.name, arg)
	p.among = p.command.Subcommands
	p.own.add(p.command.Flags)
	p.known.add(p.command.Flags)
	return nil
}

func (p *parser) result() ([]string, error) {
	out := slices.Clone(p.name)
	for _, f := range p.flags {
		if _, ok := p.own[f.name]; !ok {
			return nil, p.known.notOf(p.name, f, p.commands)
		}
		out = append(out, f.text)
	}
	if len(p.rest) > 0 {
		out = append(append(out, "--"), p.rest...)
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
	full := strings.Join(name, " ")
	return usagef("%s has no flag %s (%s has); see taskhost %s --help", full, flag, strings.Join(having, ", "), full)
}

// unknownCommand says that there is no such command, or none in the group that was named.
func unknownCommand(commands []*cli.Command, group []string, name string) error {
	names := commandNames(commands)
	full := strings.Join(append(slices.Clone(group), name), " ")
	return usagef("there is no command %q%s; there are: %s", full, didYouMean(name, names), strings.Join(names, ", "))
}

func commandNames(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}
