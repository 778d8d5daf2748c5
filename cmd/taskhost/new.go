package main

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/project"
	"github.com/taskhost/taskhost/internal/scaffold"
)

func (a *app) newCommand() *cli.Command {
	return &cli.Command{
		Name: "new", Usage: "make a folder for a plugin of your own, ready to build",
		UsageText: "taskhost new NAME --lang go|rust|c|as|js [--kind processor|agent] [--json]\n\n" +
			"NAME is the plugin's name, or the path of a new folder that ends in it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "lang", Aliases: []string{"l"}, Usage: "`LANGUAGE`: go, rust, c (C and C++), as (AssemblyScript) or js (JavaScript)"},
			&cli.StringFlag{Name: "kind", Value: string(scaffold.Processor), Usage: "`KIND`: processor (a step: text in, text out) or agent (an action: JSON in, JSON out)"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON on stdout, for machines", DisableDefaultText: true},
		},
		Action: a.newAction,
	}
}

// newJSON is what new prints with --json.
type newJSON struct {
	Name  string        `json:"name"`
	Lang  project.Lang  `json:"lang"`
	Kind  scaffold.Kind `json:"kind"`
	Dir   string        `json:"dir"`
	Files []string      `json:"files"`
}

func (a *app) newAction(c *cli.Context) error {
	args := arguments(c)
	if len(args) != 1 {
		return usagef("new needs one name: taskhost new NAME --lang LANGUAGE")
	}
	cfg := scaffold.Config{Name: filepath.Base(args[0]), Lang: project.Lang(c.String("lang")), Kind: scaffold.Kind(c.String("kind"))}
	if cfg.Lang == "" {
		return usagef("new needs a language: --lang go, rust, c, as (AssemblyScript) or js (JavaScript)")
	}
	dir := filepath.Clean(args[0])
	files, err := scaffold.Make(dir, cfg)
	if err != nil {
		return usagef("%v", err)
	}
	if c.Bool("json") {
		return a.printJSON(newJSON{cfg.Name, cfg.Lang, cfg.Kind, dir, files})
	}
	fmt.Fprintf(a.stdout, "made %s, %s in %s:\n  %s\n\n%s", dir, article(string(cfg.Kind)), cfg.Language(), strings.Join(files, "  "), nextSteps(dir, cfg))
	return nil
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// nextSteps is what the author can do with a new project.
func nextSteps(dir string, cfg scaffold.Config) string {
	try := fmt.Sprintf("echo hello | taskhost run -p build %s", cfg.Name)
	if cfg.Kind == scaffold.Agent {
		try = fmt.Sprintf("taskhost call -p build --arg name=Ada %s greet", cfg.Name)
	}
	built := path.Join(project.BuildDir, cfg.Name+"."+cfg.Ext())
	return fmt.Sprintf("next:\n  cd %s\n  taskhost build   # %s\n  %s\n  taskhost test    # the cases in the folder cases\n"+
		"  taskhost dev     # builds and runs whenever a file is saved\n", quoteShell(dir), built, try)
}

// quoteShell writes a path as a shell reads it.
func quoteShell(name string) string {
	plain := func(r rune) bool { return strings.ContainsRune("/._-", r) || abi.ValidName(string(r)) }
	if strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}
