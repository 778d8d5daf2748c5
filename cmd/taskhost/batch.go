package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/manager"
)

func (a *app) batchCommand() *cli.Command {
	return &cli.Command{
		Name:      "batch",
		Usage:     "run one task for each file; goes on past failures",
		UsageText: "taskhost batch [FLAGS] STEP... -- FILE...\n\ntaskhost batch -j 4 --out site text markdown -- notes/*.md",
		Description: "With --data DIR the tasks are kept in DIR, and --resume goes on with a batch that was cut off: files that are done and whose result is\n" +
			"there are skipped, what failed is tried again. While the command runs, it also works off what waits in DIR already.",
		Flags: a.runFlags(
			jobsFlag(),
			&cli.BoolFlag{Name: "resume", Category: inDataFolder, Usage: "go on with a batch that was cut off: with what is in the data folder of it", DisableDefaultText: true},
			&cli.StringFlag{Name: "out", Value: "out", Usage: "write the results into `DIR`, which is made if need be"},
			&cli.StringFlag{Name: "ext", Usage: "extension `EXT` of the results (default: .html or .json if they look like it, else that of the input)"},
		),
		Action: a.batchAction,
	}
}

// batch is one run of the command.
type batch struct {
	app     *app
	options options
	steps   []string
	jobs    int
	target  *target
	items   []item
	spec    manager.Spec // what all tasks have in common

	resume bool
	ledger *ledger // nil: tasks are not kept
}

// item is one file and what came out of it.
type item struct {
	file    string
	written string       // where the result is
	task    manager.Task // without its bytes
	err     error
	done    bool
	skipped bool // an earlier run did it all
}

func (a *app) batchAction(c *cli.Context) error {
	args := c.Args().Slice()
	i := slices.Index(args, "--")
	if i < 1 || i == len(args)-1 {
		return usagef("batch needs steps and files with -- between them: taskhost batch STEP... -- FILE...")
	}
	o, err := a.options(c)
	if err != nil {
		return err
	}
	b := &batch{app: a, options: o, steps: args[:i], resume: c.Bool("resume"), spec: manager.ProcessorTask("", args[:i]...)}
	if b.jobs, err = readJobs(c); err != nil {
		return err
	}
	if err := order(c, &b.spec); err != nil {
		return err
	}
	for _, name := range []string{labelFile, labelBatch, labelInput} {
		if _, ok := b.spec.Labels[name]; ok {
			return usagef("--label %s: batch sets this label itself", name)
		}
	}
	o.prepare(&b.spec)
	for _, file := range args[i+1:] {
		b.items = append(b.items, item{file: file})
	}
	if b.target, err = newTarget(c.String("out"), c.String("ext"), args[i+1:]); err != nil {
		return err
	}
	start := time.Now()
	if err := b.run(c.Context); err != nil {
		return err
	}
	return b.report(c.Context, time.Since(start))
}

// run works all files off. The error is one that stopped the batch as a whole; those of files are in their items.
func (b *batch) run(ctx context.Context) error {
	d := b.app.newDisplay(b.options.progress, len(b.items))
	defer d.close()
	n := slots{concurrent: b.jobs, watch: true, steps: b.steps}
	if b.options.data != "" {
		n.before = b.openLedger
	}
	s, err := b.app.open(ctx, b.options, n, d)
	if err != nil {
		return err
	}
	if err := b.checkPlugins(s.host); err != nil {
		return closing(s, err)
	}
	if err := os.MkdirAll(b.target.dir, 0o777); err != nil {
		return closing(s, fileError("make the folder", err))
	}
	next := make(chan *item)
	var wg sync.WaitGroup
	for range min(b.jobs, len(b.items)) {
		wg.Go(func() {
			for it := range next {
				b.work(ctx, s, it)
			}
		})
	}
feed:
	for i := range b.items {
		select {
		case next <- &b.items[i]:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return s.close()
}

// closing closes a session after an error, which is the one that counts.
func closing(s *session, err error) error {
	_ = s.close()
	return err
}

// checkPlugins finds out before anything runs that a plugin is missing or was refused.
func (b *batch) checkPlugins(h *host.Host) error {
	for _, step := range b.steps {
		plugin, _, err := abi.ParseStep(step)
		if err != nil {
			return usagef("%v", err)
		}
		p, err := h.Inspect(plugin)
		switch {
		case err != nil:
			return err
		case p.State == host.StateRefused:
			return &abi.Error{Code: abi.CodeRefused, Plugin: plugin, Message: p.Error}
		}
	}
	return nil
}

// work runs the task of one file, or goes on with the one that there is. Only the files of the tasks that run are in memory.
func (b *batch) work(ctx context.Context, s *session, it *item) {
	it.done = true
	defer func() { it.task.Spec.Input, it.task.Output, it.task.Partial, it.task.Checkpoint = nil, nil, nil, nil }()
	input := ""
	if b.ledger != nil {
		var err error
		if input, err = b.ledger.input(it.file); err != nil {
			b.skip(s, it, err)
			return
		}
		if e, ok := b.ledger.tasks[input]; ok {
			b.goOn(ctx, s, it, e)
			return
		}
	}
	content, err := os.ReadFile(it.file)
	if err != nil {
		b.skip(s, it, fileError("read", err))
		return
	}
	spec := b.spec
	spec.Input = content
	spec.Labels = maps.Clone(b.spec.Labels)
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	spec.Labels[labelFile] = fileLabel(it.file)
	if b.ledger != nil {
		b.ledger.enter(&spec, input)
		it.task, err = b.runAnew(ctx, s, spec)
	} else {
		it.task, err = s.run(ctx, spec)
	}
	b.settle(it, err)
}

// skip ends a file that no task runs for.
func (b *batch) skip(s *session, it *item, err error) {
	it.err = err
	s.display.skipped(it.file, err)
}

// fileLabel is a file's name as a label can hold it.
func fileLabel(file string) string {
	label := oneLine(filepath.Base(file))
	for len(label) > manager.MaxLabelValue {
		label = cut(label, len([]rune(label))-1)
	}
	return label
}
