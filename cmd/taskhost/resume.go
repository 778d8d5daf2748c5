package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Labels of the tasks of a batch that is kept.
const (
	labelBatch = "batch"      // the same for every run of one batch
	labelInput = "batch_file" // the same as long as a file of the batch stays as it is
)

// ledger is what a data folder knows of a batch: the newest task of each file. A batch writes nothing down besides its tasks, so that
// there is nothing that could disagree with them.
//
// Wherever a batch is cut off, --resume finds one of these: no task (the file comes next), a task that has not ended (it is waited for),
// one that failed or was cancelled (it is tried again), one that completed, whose result is in its place or not; a result is written
// as a whole or not at all, and what is in its place counts only if it is the output of this very task.
type ledger struct {
	batch string // its identity
	tasks map[string]entry
}

// entry is the task of a file as it was when the batch began.
type entry struct {
	id     string
	status manager.Status
}

// identity tells batches apart: by their steps, settings and where their results go.
func (b *batch) identity() (string, error) {
	out, err := filepath.Abs(b.target.dir)
	if err != nil {
		return "", fileError("find", err)
	}
	return digest(b.steps, b.options.config, out, b.target.ext)
}

// digest is a short name for values.
func digest(values ...any) (string, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// openLedger starts the ledger of a batch. To resume, it reads the tasks of earlier runs, before any of them is worked off.
func (b *batch) openLedger(ctx context.Context, s *session) error {
	batch, err := b.identity()
	if err != nil {
		return err
	}
	l := &ledger{batch: batch, tasks: map[string]entry{}}
	if b.spec.After, err = findTasks(ctx, s.tasks, b.spec.After); err != nil {
		return err
	}
	if b.resume {
		files := make([]string, len(b.items))
		for i := range b.items {
			files[i] = b.items[i].file
		}
		if err := b.target.tidy(files); err != nil {
			return err
		}
		f := manager.Filter{Labels: map[string]string{labelBatch: batch}}
		err = eachTask(ctx, s.tasks, f, func(t *manager.Task) error {
			input := t.Spec.Labels[labelInput]
			if _, ok := l.tasks[input]; !ok {
				l.tasks[input] = entry{t.ID, t.Status}
				s.show(t.ID)
			}
			return nil
		})
	}
	b.ledger = l
	return err
}

// enter puts into a task what finds it again: the labels, and a key that keeps two tasks for one state of a file from running.
func (l *ledger) enter(spec *manager.Spec, input string) {
	spec.Labels[labelBatch], spec.Labels[labelInput] = l.batch, input
	spec.Unique = manager.Unique{Key: "batch " + input}
}

// input names the state that a file has now.
func (l *ledger) input(file string) (string, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return "", fileError("find", err)
	}
	st, err := os.Stat(file)
	if err != nil {
		return "", fileError("read", err)
	}
	return digest(l.batch, path, st.Size(), st.ModTime().UnixNano())
}

// goOn brings a file to its end whose task there is already.
func (b *batch) goOn(ctx context.Context, s *session, it *item, e entry) {
	var err error
	switch e.status {
	case manager.StatusCompleted:
		if it.task, err = s.tasks.Get(ctx, e.id); err == nil {
			it.written, it.skipped, err = b.target.settle(it.file, it.task.Output)
		}
		b.skip(s, it, err)
		return
	case manager.StatusFailed, manager.StatusCancelled:
		if _, err := s.tasks.Retry(ctx, e.id, false); err != nil {
			b.skip(s, it, err)
			return
		}
	}
	it.task, err = s.wait(ctx, e.id)
	b.settle(it, err)
}

// settle ends a file whose task has ended.
func (b *batch) settle(it *item, err error) {
	if err == nil {
		it.written, err = b.target.write(it.file, it.task.Output)
	}
	it.err = err
}

// runAnew submits a task that shall run although one of an earlier run of the batch may not have ended: that one is cancelled first.
func (b *batch) runAnew(ctx context.Context, s *session, spec manager.Spec) (manager.Task, error) {
	for {
		t, err := s.run(ctx, spec)
		if t.ID != "" || abi.CodeOf(err) != abi.CodeConflict || abi.AsError(err).Task == "" || ctx.Err() != nil {
			return t, err
		}
		earlier := abi.AsError(err).Task // which holds the key
		if err := s.tasks.Cancel(ctx, earlier); err != nil && abi.CodeOf(err) != abi.CodeNotFound {
			return manager.Task{}, err
		}
		if _, err := s.tasks.Result(ctx, earlier); ctx.Err() != nil {
			return manager.Task{}, err
		}
	}
}
