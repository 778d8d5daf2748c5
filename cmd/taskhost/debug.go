package main

import (
	"context"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/client"
)

func (a *app) debugCommand() *cli.Command {
	return &cli.Command{
		Name: "debug", Usage: "find out what a server does", UsageText: "taskhost debug COMMAND --server URL [FLAGS]",
		Subcommands: []*cli.Command{{
			Name: "bundle", Usage: "fetch what helps to understand a fault: versions, settings without secrets, metrics, goroutines, the last warnings",
			UsageText: "taskhost debug bundle --server URL -o FILE.tar.gz",
			Flags: append(addressFlags(), verboseFlag(),
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write it to `FILE`; - is standard output", DefaultText: bundleName + ".tar.gz"}),
			Action: a.debugBundle,
		}},
	}
}

// maxBundle bounds a debug bundle, in bytes.
const maxBundle = 256 << 20

func (a *app) debugBundle(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("debug bundle takes no arguments; name the file with -o %s", args[0])
	}
	file := c.String("output")
	if file == "" {
		file = bundleName + ".tar.gz"
	}
	if err := checkOutput(file); err != nil {
		return err
	}
	return a.withServer(c, briefly, func(ctx context.Context, s *client.Client) error {
		body, err := s.DebugBundle(ctx)
		if err != nil {
			return err
		}
		defer body.Close()
		data, err := io.ReadAll(io.LimitReader(body, maxBundle))
		if err != nil {
			return err
		}
		if err := a.writeOutput(file, data); err != nil || file == stdio {
			return err
		}
		a.console.printf("taskhost: wrote %s (%s); it holds no inputs, outputs or secrets\n", file, bytesText(int64(len(data))))
		return nil
	})
}
