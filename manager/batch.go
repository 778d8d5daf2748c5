package manager

import (
	"context"
	"strconv"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// Batch is tasks that were submitted together.
type Batch struct {
	ID    string `json:"id"` // the label LabelBatchID of its tasks
	Tasks []Task `json:"tasks"`
}

// SubmitBatch submits 1 to MaxBatch tasks in one call: all of them, or none when there is an error, which says in its message which of them
// is to blame. A task's Spec.After may name earlier ones of the batch as "#1", "#2" and so on. Where a unique key was held by a task
// that the spec accepts, that one stands in its place; it is not part of the batch. Errors as Submit's.
func (m *Manager) SubmitBatch(ctx context.Context, specs []Spec) (Batch, error) {
	b, err := m.newBatch(specs)
	if err == nil {
		err = m.create(ctx, b.Tasks)
	}
	return m.submittedBatch(b, err)
}

// SubmitBatchWait is SubmitBatch, but waits for room for the whole batch when the queue is full, until ctx ends or the manager stops.
func (m *Manager) SubmitBatchWait(ctx context.Context, specs []Spec) (Batch, error) {
	b, err := m.newBatch(specs)
	if err == nil {
		if err = m.create(ctx, b.Tasks); abi.CodeOf(err) == abi.CodeQueueFull && len(specs) <= m.cfg.MaxQueue {
			err = m.room.wait(ctx, m.closing, func() error { return m.createWithRoom(ctx, b.Tasks) })
		}
	}
	return m.submittedBatch(b, err)
}

// createWithRoom is create, but first looks whether there is room for so many.
func (m *Manager) createWithRoom(ctx context.Context, tasks []Task) error {
	counts, err := m.store.Counts(ctx)
	if err != nil {
		return err
	}
	limit := QueueLimit{Tasks: m.cfg.MaxQueue}
	if err := limit.Check(counts.Pending, 0, len(tasks), 0); err != nil {
		return err
	}
	return m.create(ctx, tasks)
}

// submittedBatch tells of a refusal.
func (m *Manager) submittedBatch(b Batch, err error) (Batch, error) {
	if err != nil {
		_, err = m.submitted(&Task{}, err)
		return Batch{}, err
	}
	return b, nil
}

// newBatch makes the tasks of a batch; they are not stored.
func (m *Manager) newBatch(specs []Spec) (Batch, error) {
	if len(specs) < 1 || len(specs) > MaxBatch {
		return Batch{}, abi.Errorf(abi.CodeInvalid, "there are %d tasks in the batch; it must be between 1 and %d", len(specs), MaxBatch)
	}
	id, err := newID()
	if err != nil {
		return Batch{}, err
	}
	b := Batch{ID: id, Tasks: make([]Task, len(specs))}
	for i := range specs {
		if err = m.newTask(&b.Tasks[i], &specs[i]); err == nil {
			err = b.link(i)
		}
		if err != nil {
			e := *abi.AsError(err)
			e.Message = "task #" + strconv.Itoa(i+1) + " of the batch: " + e.Message
			return Batch{}, &e
		}
	}
	return b, nil
}

// link gives a task its label, and the ids of the tasks that it names by their numbers.
func (b *Batch) link(i int) error {
	s := &b.Tasks[i].Spec
	if s.Labels == nil {
		s.Labels = make(map[string]string, 1)
	} else if _, ok := s.Labels[LabelBatchID]; !ok && len(s.Labels) >= MaxLabels {
		return abi.Errorf(abi.CodeInvalid, "it has %d labels, and the batch needs one more; at most %d are allowed", len(s.Labels), MaxLabels)
	}
	s.Labels[LabelBatchID] = b.ID
	for j, after := range s.After {
		number, ok := strings.CutPrefix(after, "#")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > i {
			return abi.Errorf(abi.CodeInvalid, "after names %q; only earlier tasks of the batch can be named, #1 to #%d", after, i)
		}
		s.After[j] = b.Tasks[n-1].ID
	}
	return nil
}

// BatchResult waits until all tasks of a batch have ended, and returns them in the order in which they were submitted, without Spec.Input,
// Output and Partial, which Get has. The error is that of the first one that did not complete, or ctx's; tasks that retention has removed
// meanwhile are missing. A batch without tasks is CodeNotFound.
func (m *Manager) BatchResult(ctx context.Context, id string) ([]Task, error) {
	tasks, err := m.batchTasks(ctx, id)
	if err != nil {
		return nil, err
	}
	var first error
	for i := range tasks {
		t, err := m.Result(ctx, tasks[i].ID)
		if err != nil && first == nil {
			first = err
		}
		if abi.CodeOf(err) != abi.CodeNotFound {
			tasks[i] = t.header()
		}
		if ctx.Err() != nil {
			break
		}
	}
	return tasks, first
}

// batchTasks lists the tasks of a batch, the first one first.
func (m *Manager) batchTasks(ctx context.Context, id string) ([]Task, error) {
	f := Filter{Labels: map[string]string{LabelBatchID: id}, Limit: MaxPage}
	var tasks []Task
	for {
		page, err := m.List(ctx, f)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, page.Tasks...)
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	if len(tasks) == 0 {
		return nil, abi.Errorf(abi.CodeNotFound, "there is no batch %.64q", id)
	}
	for i, j := 0, len(tasks)-1; i < j; i, j = i+1, j-1 {
		tasks[i], tasks[j] = tasks[j], tasks[i]
	}
	return tasks, nil
}
