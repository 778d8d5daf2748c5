package main

import "github.com/urfave/cli/v2"

func (a *app) topCommand() *cli.Command {
	return &cli.Command{
		Name: "top", Usage: "watch a server on the whole screen", UsageText: "taskhost top [FILTER]...",
		Flags: serverFlags(selectFlags()...), Action: a.topAction,
	}
}

func (a *app) topAction(*cli.Context) error { return nil }
