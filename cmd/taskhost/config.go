package main

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/config"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "show and check the configuration of taskhost serve", UsageText: "taskhost config COMMAND [FLAGS] [FILE]",
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "show every setting and where its value comes from", UsageText: "taskhost config show [--config FILE] [--json] [FLAGS OF serve]",
				Flags: append(configFlags(), jsonFlag()), Action: a.configShow,
			},
			{
				Name: "check", Usage: "say what is wrong with a configuration file", UsageText: "taskhost config check [FILE]",
				Flags: []cli.Flag{jsonFlag(), verboseFlag()}, Action: a.configCheck,
			},
		},
	}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON on stdout, for machines", DisableDefaultText: true}
}

func verboseFlag() cli.Flag {
	return &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "details of errors", DisableDefaultText: true}
}

func configFileFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "read settings from `FILE`", DefaultText: "$TASKHOST_CONFIG, else " + config.DefaultFile + " if it is there"}
}

// configFlags are a flag for each setting.
func configFlags() []cli.Flag {
	flags := []cli.Flag{configFileFlag(), verboseFlag()}
	for _, s := range config.Settings() {
		flags = append(flags, settingFlag(s))
	}
	return flags
}

// settingFlag makes the flag of one setting.
func settingFlag(s config.Setting) cli.Flag {
	var also []string
	for _, name := range []string{s.Short, s.Also} {
		if name != "" {
			also = append(also, name)
		}
	}
	def := s.Default
	if def == "" {
		def = s.Absent
	}
	category := ""
	if strings.HasPrefix(s.Key, "limits.") {
		category = "LIMITS of plugins whose manifest sets none"
	}
	switch {
	case s.Many:
		return &cli.StringSliceFlag{Name: s.Flag(), Aliases: also, Usage: s.Help + " (default: " + def + ")", Category: category}
	case s.Bool:
		return &cli.BoolFlag{Name: s.Flag(), Aliases: also, Usage: s.Help, DefaultText: def, Category: category}
	}
	return &cli.StringFlag{Name: s.Flag(), Aliases: also, Usage: s.Help, DefaultText: def, Category: category}
}

// loadConfig reads the configuration of a command that has configFileFlag and some or all flags of settings.
func (a *app) loadConfig(c *cli.Context) (*config.Loaded, error) {
	if c.IsSet("config") && c.String("config") == "" {
		return nil, usagef("--config needs the name of a file")
	}
	l, err := config.Load(config.Input{
		File: c.String("config"), Getenv: a.getenv,
		Flag: func(s config.Setting) ([]string, bool) {
			switch {
			case !c.IsSet(s.Flag()):
				return nil, false
			case s.Many:
				return c.StringSlice(s.Flag()), true
			case s.Bool && c.Bool(s.Flag()):
				return []string{"true"}, true
			case s.Bool:
				return []string{"false"}, true
			}
			return []string{c.String(s.Flag())}, true
		},
	})
	return l, a.configError(err)
}

// configError tells everything that is wrong with a configuration, a line for each.
func (a *app) configError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if e, ok := errors.AsType[*abi.Error](err); ok {
		text = e.Message
	}
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		a.printError(usagef("%s", line))
	}
	return usagef("%s", lines[len(lines)-1])
}

// settingJSON is a setting as config show --json prints it.
type settingJSON struct {
	Value  any           `json:"value"` // a text, or a list of texts; null: there is none
	Origin config.Origin `json:"origin"`
	Where  string        `json:"where,omitempty"`
	Env    string        `json:"env"`
	Flag   string        `json:"flag"`
}

// settingsJSON describes a configuration, without what is secret.
func settingsJSON(l *config.Loaded) map[string]settingJSON {
	all := map[string]settingJSON{}
	for i := range l.Values {
		v := &l.Values[i]
		j := settingJSON{Origin: v.Origin, Env: v.Setting.Env(), Flag: "--" + v.Setting.Flag()}
		if v.Origin != config.FromDefault {
			j.Where = v.Where
		}
		switch {
		case v.Setting.Hidden:
			j.Value = v.Text()
		case v.Setting.Many:
			j.Value = v.Texts
		case len(v.Texts) > 0:
			j.Value = v.Texts[0]
		}
		all[v.Setting.Key] = j
	}
	return all
}

func (a *app) configShow(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("config show takes no arguments; taskhost config check %s checks a file", args[0])
	}
	l, err := a.loadConfig(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return a.printJSON(settingsJSON(l))
	}
	t := &table{}
	t.add("KEY", "VALUE", "FROM")
	for i := range l.Values {
		v := &l.Values[i]
		text := oneLine(v.Text())
		if text == "" {
			text = "(" + v.Setting.Absent + ")"
		}
		t.add(v.Setting.Key, text, v.Where)
	}
	return fileError("write the result", t.write(a.stdout, nil))
}

func (a *app) configCheck(c *cli.Context) error {
	args := arguments(c)
	if len(args) > 1 {
		return usagef("config check takes one file")
	}
	file := a.getenv("TASKHOST_CONFIG")
	if len(args) == 1 {
		file = args[0]
	}
	if file == "" {
		file = config.DefaultFile
	}
	data, err := config.ReadFile(file)
	if err != nil {
		return a.configError(err)
	}
	l, err := config.Check(file, data)
	if c.Bool("json") {
		problems := []string{}
		if e := abi.AsError(err); e != nil {
			problems = strings.Split(e.Message, "\n")
		}
		if printed := a.printJSON(map[string]any{"file": file, "problems": problems}); printed != nil || err == nil {
			return printed
		}
		return &reported{exitUsage}
	}
	if err != nil {
		return a.configError(err)
	}
	set := 0
	for i := range l.Values {
		if l.Values[i].Origin == config.FromFile {
			set++
		}
	}
	a.console.printf("taskhost: %s is right; it sets %s\n", file, plural(set, "key"))
	return nil
}

// tokensFile is where a configuration has its tokens.
func tokensFile(c *config.Config) string {
	if c.Tokens != "" {
		return c.Tokens
	}
	return filepath.Join(c.Data, "tokens.json")
}
