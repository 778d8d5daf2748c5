package manager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
)

// prepareRun gets what a claimed task needs before it can start: the outputs of the tasks that it waited for, and its agent's memory.
// The error says why it cannot start.
func (m *Manager) prepareRun(r *run) *abi.Error {
	t := r.task
	if t.Status != StatusPending {
		return nil
	}
	if len(t.Spec.After) > 0 {
		if err := m.collect(r); err != nil {
			err.Task = t.ID
			return err
		}
	}
	if agent := t.Spec.Agent(); agent != "" {
		if err := m.recall(r, agent); err != nil {
			return &abi.Error{Code: abi.CodeOf(err), Task: t.ID, Message: "reading the agent's memory: " + err.Error(), Err: err}
		}
	}
	return nil
}

// collect looks at the tasks that this one waited for, and makes its input of their outputs where the spec says so.
func (m *Manager) collect(r *run) *abi.Error {
	spec := &r.task.Spec
	outputs := make([]json.RawMessage, len(spec.After))
	for i, id := range spec.After {
		t, err := m.store.Get(m.base, id)
		switch code := abi.CodeOf(err); {
		case code == abi.CodeNotFound:
			t.Status = StatusFailed
		case err != nil:
			return abi.Errorf(code, "reading the output of task %s: %w", id, err)
		}
		if t.Status != StatusCompleted && spec.AfterFailed != AfterRun {
			return abi.Errorf(abi.CodeDependency, "task %s, for which it waited, %s", id, fate(&t, err))
		}
		if spec.Collect && len(spec.After) == 1 {
			r.input = t.Output
			return nil
		}
		outputs[i] = jsonOutput(&t)
	}
	if spec.Collect {
		r.input, _ = json.Marshal(outputs) // valid by construction
		if limit := m.cfg.MaxInput; int64(len(r.input)) > limit {
			return abi.Errorf(abi.CodeInvalid, "the outputs that it collects have %d bytes; at most %d are allowed", len(r.input), limit)
		}
	}
	return nil
}

// fate is what became of a task, in words.
func fate(t *Task, err error) string {
	switch {
	case err != nil:
		return "was removed"
	case t.Error != nil:
		return fmt.Sprintf("is %s: %.200s", t.Status, t.Error.Message)
	}
	return "is " + string(t.Status)
}

// jsonOutput is a task's output as a JSON value: null if there is none, a string if it is no JSON.
func jsonOutput(t *Task) json.RawMessage {
	out := bytes.TrimSpace(t.Output)
	switch {
	case t.Status != StatusCompleted:
		return json.RawMessage("null")
	case len(out) > 0 && json.Valid(out):
		return out
	case utf8.Valid(t.Output):
		text, _ := json.Marshal(string(t.Output)) // cannot fail
		return text
	}
	text, _ := json.Marshal(t.Output) // base64
	return text
}

// recordMemory is the kind of the records that hold the memories of agents.
const recordMemory = "memory"

// recall reads the memory of the task's agent. Nobody else changes it while the task has its lease: tasks of one agent run one at a
// time.
func (m *Manager) recall(r *run, agent string) error {
	rec, err := m.store.Record(m.base, recordMemory, agent)
	if abi.CodeOf(err) == abi.CodeNotFound {
		rec, err = Record{Kind: recordMemory, Name: agent}, nil
	}
	if err != nil {
		return err
	}
	r.vars = map[string][]byte{}
	if rec.Data != nil {
		if err := json.Unmarshal(rec.Data, &r.vars); err != nil {
			return abi.Errorf(abi.CodeInternal, "it cannot be read: %w", err)
		}
	}
	r.memory = &rec
	return nil
}

// remember is what is to be stored with the task when it has completed: the agent's memory, if it changed.
func (r *run) remember(c *change) []Record {
	if c.move != moveSucceed || r.memory == nil {
		return nil
	}
	rec := *r.memory
	var data []byte
	if len(r.vars) > 0 {
		data, _ = json.Marshal(r.vars) // cannot fail
	}
	if bytes.Equal(data, rec.Data) {
		return nil
	}
	rec.Data = data
	return []Record{rec}
}

func expiredError(t *Task) *abi.Error {
	return &abi.Error{
		Code: abi.CodeExpired, Task: t.ID,
		Message: fmt.Sprintf("the task was not begun by %s, within %v", t.ExpiresAt.Format(time.RFC3339), t.Spec.Expiry),
	}
}

// saveCheckpoint stores the state that the plugin of a step wants to begin with in a later attempt.
func (r *run) saveCheckpoint(step int, state []byte) error {
	r.write.Lock()
	defer r.write.Unlock()
	r.mu.Lock()
	if !r.live || r.step != step {
		r.mu.Unlock()
		return abi.Errorf(abi.CodeClosed, "the attempt is over")
	}
	r.task.Checkpoint, r.task.CheckpointStep = state, step
	if len(state) == 0 {
		r.task.Checkpoint, r.task.CheckpointStep = nil, 0
	}
	r.mu.Unlock()
	err := r.m.save(r, &change{move: moveNote, now: now()})
	switch code := abi.CodeOf(err); code {
	case "":
		return nil
	case abi.CodeLeaseLost, abi.CodeNotFound:
		r.cancel(stopError(r.lease.ID, CauseLeaseLost))
	}
	return fmt.Errorf("saving a checkpoint: %w", err)
}

// lastLines joins two logs and keeps the end.
func lastLines(log, more []abi.LogLine) []abi.LogLine {
	if log == nil {
		return more
	}
	log = append(log, more...)
	return log[max(0, len(log)-abi.MaxLogLines):]
}
