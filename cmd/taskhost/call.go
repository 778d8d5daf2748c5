package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/manager"
)

func (a *app) callCommand() *cli.Command {
	return &cli.Command{
		Name:        "call",
		Usage:       "call an agent's action; its JSON goes to stdout",
		UsageText:   "taskhost call [FLAGS] AGENT ACTION    an AGENT is PLUGIN or PLUGIN/ID\n\ntaskhost call agent summarize --arg sentences=2 --arg text='One. Two. Three.'",
		Description: withDataText,
		Flags:       a.runFlags(append(onceFlags(), agentFlags()...)...),
		Action:      a.callAction,
	}
}

// agentFlags are an action's arguments.
func agentFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "arg", Usage: "one argument, `NAME=VALUE`; a VALUE that is JSON is taken as JSON, else as text; may be repeated"},
		&cli.StringFlag{Name: "args", Usage: "all arguments as a `JSON` object; --arg is laid over it"},
	}
}

func (a *app) callAction(c *cli.Context) error {
	args := arguments(c)
	if len(args) != 2 {
		return usagef("call needs an agent and an action: taskhost call AGENT ACTION [--arg NAME=VALUE]...")
	}
	values, err := readArgs(c.String("args"), c.StringSlice("arg"))
	if err != nil {
		return err
	}
	o, err := a.options(c, args[0])
	if err != nil {
		return err
	}
	spec := manager.AgentTask(args[0], args[1], values)
	if err := order(c, &spec); err != nil {
		return err
	}
	if o.detach {
		return a.submit(c, o, spec)
	}
	t, err := a.single(c.Context, o, spec)
	if o.json && t.ID != "" {
		return a.printTask(t, err)
	}
	if err != nil {
		return err
	}
	return a.writeOutput("", append(bytes.TrimRight(t.Output, "\n"), '\n'))
}

// readArgs puts an action's arguments together. Numbers keep all their digits.
func readArgs(object string, pairs []string) (map[string]any, error) {
	args := map[string]any{}
	if object != "" {
		v, _ := decodeJSON(object)
		var ok bool
		if args, ok = v.(map[string]any); !ok {
			return nil, usagef("--args must be a JSON object such as {\"verbose\": true}, not %s", cut(oneLine(object), 40))
		}
	}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("--arg %s: write NAME=VALUE", pair)
		}
		if v, ok := decodeJSON(text); ok {
			args[name] = v
		} else {
			args[name] = text
		}
	}
	return args, nil
}

// decodeJSON reads one JSON value, and nothing else beside it.
func decodeJSON(text string) (any, bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, errors.Is(err, io.EOF)
}
