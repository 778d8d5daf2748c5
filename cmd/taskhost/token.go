package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/config"
)

func (a *app) tokenCommand() *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "make, list and remove the tokens of a server", UsageText: "taskhost token COMMAND [--data DIR | --tokens FILE] [FLAGS]",
		Description: "The file of tokens holds hashes alone. A server that runs takes changes at once; as soon as there is a token, every request needs one.\n" +
			"Roles, each with the rights of those before it: read (look at everything), submit (submit, cancel and retry tasks), operate (many tasks at\n" +
			"once, delete tasks, queues, schedules, roll back and disable plugins), admin (upload and remove plugins, profiles, the audit log).",
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "make a token and print it: it is shown this once",
				UsageText: "taskhost token create --role ROLE --name NAME [--expires 90d] [--data DIR | --tokens FILE]",
				Flags: tokenFlags(
					&cli.StringFlag{Name: "role", Usage: "what it allows: `ROLE` is read, submit, operate or admin"},
					&cli.StringFlag{Name: "name", Usage: "`NAME` of who or what uses it, as the audit log shows it"},
					&cli.StringFlag{Name: "expires", Usage: "it ends after `TIME`, such as 90d or 12h", DefaultText: "never"},
				),
				Action: a.tokenCreate,
			},
			{Name: "ls", Usage: "list tokens", UsageText: "taskhost token ls [--data DIR | --tokens FILE]", Flags: tokenFlags(), Action: a.tokenList},
			{Name: "rm", Usage: "remove tokens by id or name; their sessions end", UsageText: "taskhost token rm [--data DIR | --tokens FILE] ID...", Flags: tokenFlags(), Action: a.tokenRemove},
		},
	}
}

// tokenFlags are those of the commands that work on a file of tokens.
func tokenFlags(more ...cli.Flag) []cli.Flag {
	flags := []cli.Flag{configFileFlag(), jsonFlag(), verboseFlag()}
	for _, s := range config.Settings() {
		if s.Key == "data" || s.Key == "tokens" {
			flags = append(flags, settingFlag(s))
		}
	}
	return append(flags, more...)
}

// tokens opens the file of tokens that a command means.
func (a *app) tokens(c *cli.Context) (*auth.File, error) {
	l, err := a.loadConfig(c)
	if err != nil {
		return nil, err
	}
	f, err := auth.OpenFile(tokensFile(&l.Config), nil)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return f, nil
}

// tokenJSON is a token as --json prints it.
type tokenJSON struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      auth.Role `json:"role"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Expired   bool      `json:"expired,omitempty"`
	Token     string    `json:"token,omitempty"` // of create
}

func newTokenJSON(t *auth.Token, text string) tokenJSON {
	return tokenJSON{ID: t.ID, Name: t.Name, Role: t.Role, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Expired: t.Expired(time.Now()), Token: text}
}

func (a *app) tokenCreate(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("token create takes no arguments; name the token with --name %s", args[0])
	}
	var expires time.Time
	if text := c.String("expires"); text != "" {
		d, err := config.ParseDuration(text)
		if err != nil || d <= 0 {
			return usagef("--expires %s: write 90d, 12h or the like", text)
		}
		expires = time.Now().Add(d)
	}
	if c.String("role") == "" || c.String("name") == "" {
		return usagef("token create needs --role ROLE and --name NAME; roles are %v", auth.Roles())
	}
	f, err := a.tokens(c)
	if err != nil {
		return err
	}
	t, text, err := f.Create(c.String("name"), auth.Role(c.String("role")), expires)
	if err != nil {
		return usagef("%v", err)
	}
	if c.Bool("json") {
		return a.printJSON(newTokenJSON(&t, text))
	}
	if _, err := fmt.Fprintln(a.stdout, text); err != nil {
		return fileError("write the token", err)
	}
	a.console.printf("taskhost: this is the only time that the token is shown; %s knows its hash, and that it is %s, role %s%s\n", f.Path(), t.Name, t.Role, until(&t))
	return nil
}

func until(t *auth.Token) string {
	if t.ExpiresAt.IsZero() {
		return ""
	}
	return ", until " + t.ExpiresAt.Format(time.RFC3339)
}

func (a *app) tokenList(c *cli.Context) error {
	if args := arguments(c); len(args) > 0 {
		return usagef("token ls takes no arguments")
	}
	f, err := a.tokens(c)
	if err != nil {
		return err
	}
	list, err := f.Tokens()
	if err != nil {
		return usagef("%v", err)
	}
	if c.Bool("json") {
		all := []tokenJSON{}
		for i := range list {
			all = append(all, newTokenJSON(&list[i], ""))
		}
		return a.printJSON(all)
	}
	if len(list) == 0 {
		a.console.printf("taskhost: there is no token in %s yet; taskhost token create makes one\n", f.Path())
		return nil
	}
	t := &table{}
	t.add("ID", "NAME", "ROLE", "CREATED", "EXPIRES")
	for i := range list {
		expires := "never"
		switch one := &list[i]; {
		case one.Expired(time.Now()):
			expires = "expired"
		case !one.ExpiresAt.IsZero():
			expires = one.ExpiresAt.Local().Format(time.DateTime)
		}
		t.add(list[i].ID, oneLine(list[i].Name), string(list[i].Role), list[i].CreatedAt.Local().Format(time.DateTime), expires)
	}
	return fileError("write the result", t.write(a.stdout, nil))
}

func (a *app) tokenRemove(c *cli.Context) error {
	args := slices.Compact(arguments(c))
	if len(args) == 0 {
		return usagef("token rm needs the id or the name of a token; taskhost token ls lists them")
	}
	f, err := a.tokens(c)
	if err != nil {
		return err
	}
	gone := []tokenJSON{}
	for _, word := range args {
		t, e := f.Remove(word)
		if e != nil {
			a.printError(e)
			err = &reported{exitCode(e)}
			continue
		}
		gone = append(gone, newTokenJSON(&t, ""))
		if !c.Bool("json") {
			a.console.printf("taskhost: removed the token %s (%s, role %s)\n", t.ID, t.Name, t.Role)
		}
	}
	if c.Bool("json") {
		if printed := a.printJSON(gone); err == nil {
			err = printed
		}
	}
	return err
}
