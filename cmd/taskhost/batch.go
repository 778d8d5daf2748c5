package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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
		Flags: append(a.taskFlags(),
			&cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, Value: runtime.NumCPU(), DefaultText: "number of processors", Usage: "run `N` tasks at once"},
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
}

// item is one file and what came out of it.
type item struct {
	file    string
	written string       // where the result is
	task    manager.Task // without its bytes
	err     error
	done    bool
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
	b := &batch{app: a, options: o, steps: args[:i], jobs: c.Int("jobs")}
	if b.jobs < 1 || b.jobs > 1000 {
		return usagef("-j %d: it must be between 1 and 1000", b.jobs)
	}
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
	s, err := b.app.open(ctx, b.options, slots{concurrent: b.jobs, watch: true, steps: b.steps}, d)
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

// work runs the task of one file. Only the files of the tasks that run are in memory.
func (b *batch) work(ctx context.Context, s *session, it *item) {
	content, err := os.ReadFile(it.file)
	it.done = true
	if err != nil {
		it.err = fileError("read", err)
		s.display.skipped(it.file, it.err)
		return
	}
	spec := manager.ProcessorTask("", b.steps...)
	spec.Input = content
	spec.Timeout = b.options.timeout
	spec.Labels = map[string]string{labelFile: fileLabel(it.file)}
	t, err := s.run(ctx, spec)
	if err == nil {
		it.written, err = b.target.write(it.file, t.Output)
	}
	t.Spec.Input, t.Output, t.Partial = nil, nil, nil
	it.task, it.err = t, err
}

// fileLabel is a file's name as a label can hold it.
func fileLabel(file string) string {
	label := oneLine(filepath.Base(file))
	for len(label) > manager.MaxLabelValue {
		label = cut(label, len([]rune(label))-1)
	}
	return label
}

// target is where the results go.
type target struct {
	dir string
	ext string // empty: by content

	mu    sync.Mutex
	taken map[string]string // input by output, both as they were written
}

// newTarget checks what can be checked before any result is there: no two inputs may claim the same output.
func newTarget(dir, ext string, files []string) (*target, error) {
	if ext != "" && !strings.HasPrefix(ext, ".") {
		ext = "." + ext
	}
	if strings.ContainsAny(ext, `/\`) {
		return nil, usagef("--ext %s: write an extension such as html", ext)
	}
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return nil, usagef("--out %s is not a folder", dir)
	}
	claims := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		if ext != "" {
			name = stem(file) + ext
		}
		if before, ok := claims[name]; ok {
			return nil, usagef("%s and %s would both become %s; run them in two batches with an --out of their own",
				before, file, filepath.Join(dir, name))
		}
		claims[name] = file
	}
	return &target{dir: dir, ext: ext, taken: map[string]string{}}, nil
}

func stem(file string) string {
	base := filepath.Base(file)
	if s := strings.TrimSuffix(base, filepath.Ext(base)); s != "" {
		return s
	}
	return base
}

// write writes the result for an input file, as a whole, and returns its name. It never writes over an input or another result.
func (t *target) write(file string, output []byte) (string, error) {
	ext := t.ext
	if ext == "" {
		ext = extensionFor(output, filepath.Ext(file))
	}
	name := filepath.Join(t.dir, stem(file)+ext)
	t.mu.Lock()
	before, ok := t.taken[name]
	t.taken[name] = file
	t.mu.Unlock()
	if ok {
		return "", fmt.Errorf("the result would replace %s, that of %s; choose another --out or --ext", name, before)
	}
	if in, err := os.Stat(file); err == nil {
		if out, err := os.Stat(name); err == nil && os.SameFile(in, out) {
			return "", fmt.Errorf("the result would replace the input %s; choose another --out or --ext", name)
		}
	}
	return name, writeFile(name, output)
}
