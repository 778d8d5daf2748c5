package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// engine is the module that runs the Wasm.
const engine = "github.com/tetratelabs/wazero"

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version", UsageText: "taskhost version [--json]",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON", DisableDefaultText: true}},
		Action: func(c *cli.Context) error { return a.printVersion(c.Bool("json")) },
	}
}

// versionJSON says what this program was made from.
type versionJSON struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Engine   string `json:"engine"` // of Wasm
	Platform string `json:"platform"`
}

func (a *app) printVersion(asJSON bool) error {
	v := versionJSON{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == engine {
				v.Engine = "wazero " + dep.Version
			}
		}
	}
	if asJSON {
		return a.printJSON(v)
	}
	_, err := fmt.Fprintf(a.stdout, "taskhost %s (%s, %s, %s)\n", v.Version, v.Engine, v.Go, v.Platform)
	return err
}
