package sqlitestore

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// The parts of a task that have columns of their own. One of more than maxInline bytes is in the table blobs, with the key seq*4+part.
const (
	partInput = iota
	partOutput
	partPartial
	partCheckpoint
	numParts
)

// maxInline bounds a part in the row itself, in bytes.
const maxInline = 256 << 10

// partMask has the bit 1<<part for some of the parts.
type partMask uint8

func (m partMask) has(part int) bool { return m&(1<<part) != 0 }

// parts are the parts of a task.
func parts(t *manager.Task) [numParts][]byte {
	return [numParts][]byte{t.Spec.Input, t.Output, t.Partial, t.Checkpoint}
}

func setParts(t *manager.Task, p [numParts][]byte) {
	t.Spec.Input, t.Output, t.Partial, t.Checkpoint = p[partInput], p[partOutput], p[partPartial], p[partCheckpoint]
}

// bigParts are the parts that do not go into the row.
func bigParts(t *manager.Task) (m partMask) {
	for i, p := range parts(t) {
		if len(p) > maxInline {
			m |= 1 << i
		}
	}
	return m
}

// sameParts are the parts that are the very same bytes in both.
func sameParts(a, b *manager.Task) (m partMask) {
	q := parts(b)
	for i, p := range parts(a) {
		if len(p) > 0 && len(p) == len(q[i]) && &p[0] == &q[i][0] {
			m |= 1 << i
		}
	}
	return m
}

// row is a task as it is written.
type row struct {
	task  *manager.Task
	seq   int64
	uuid  uuid.UUID
	spec  []byte
	state []byte
	bytes int64
	times [numTimes]int64
	stat  status
	links bool
}

const (
	timeCreated = iota
	timeRun
	timeStarted
	timeFinished
	timeExpires
	numTimes
)

// newRow encodes a task, except its parts. The task must not change afterwards.
func newRow(t *manager.Task, seq int64, u uuid.UUID) (*row, error) { return nextRow(t, seq, u, nil) }

// nextRow is newRow for a task that was encoded before, with the same spec; nil: it was not.
func nextRow(t *manager.Task, seq int64, u uuid.UUID, before *row) (*row, error) {
	stat, ok := statusOf(t.Status)
	if !ok {
		return nil, &abi.Error{Code: abi.CodeInvalid, Task: t.ID, Message: "there is no status " + string(t.Status)}
	}
	r := &row{task: t, seq: seq, uuid: u, stat: stat, bytes: bytesOf(t), links: hasLinks(&t.Spec)}
	for i, at := range [numTimes]time.Time{t.CreatedAt, t.RunAt, t.StartedAt, t.FinishedAt, t.ExpiresAt} {
		if n, ok := unixNano(at); ok {
			r.times[i] = n
		}
	}
	room := 96 // for the state; enough for most, so that it is made once
	if n := len(t.Attempts); n > 0 {
		room = 336 * n
	}
	var err error
	if before != nil && sameSpec(&t.Spec, &before.task.Spec) {
		r.spec = before.spec
		r.state, err = appendState(make([]byte, 0, room), t)
	} else {
		var b []byte
		room += 128 + 32*len(t.Spec.Steps) + 72*len(t.Spec.Labels)
		if b, err = appendSpec(make([]byte, 0, room), &t.Spec); err == nil {
			n := len(b)
			b, err = appendState(b, t)
			r.spec, r.state = b[:n:n], b[min(n, len(b)):]
		}
	}
	if err != nil {
		return nil, &abi.Error{Code: abi.CodeInvalid, Task: t.ID, Message: "the task has no JSON form: " + err.Error(), Err: err}
	}
	return r, nil
}

// size is about how much a row takes in the journal.
func (r *row) size() int {
	n := len(r.spec) + len(r.state) + 100
	for _, p := range parts(r.task) {
		n += len(p)
	}
	return n
}

// hasLinks reports whether a task's place depends on more than its own columns.
func hasLinks(s *manager.Spec) bool { return s.Unique.Key != "" || len(s.After) > 0 || s.Agent() != "" }

// decodeTask fills in what the columns spec and state hold. The times that columns hold must be there.
func decodeTask(t *manager.Task, spec, state []byte) error {
	if err := json.Unmarshal(spec, &t.Spec); err != nil {
		return err
	}
	var s stateJSON
	if err := json.Unmarshal(state, &s); err != nil {
		return err
	}
	t.Progress, t.CurrentStep, t.TotalSteps, t.Message = s.Progress, s.CurrentStep, s.TotalSteps, s.Message
	t.Attempts, t.Retried, t.Crashes = s.Attempts, s.Retried, s.Crashes
	t.OutputBytes, t.InputBytes = s.OutputBytes, s.InputBytes
	t.PartialStep, t.PartialCut, t.CheckpointStep = s.PartialStep, s.PartialCut, s.CheckpointStep
	t.Error, t.Cause, t.Function, t.Version, t.Usage = s.Error, s.Cause, s.Function, s.Version, s.Usage
	if far := s.Times; far != nil {
		for _, p := range []struct {
			to   *time.Time
			from time.Time
		}{
			{&t.CreatedAt, far.CreatedAt}, {&t.RunAt, far.RunAt}, {&t.ExpiresAt, far.ExpiresAt},
			{&t.StartedAt, far.StartedAt}, {&t.FinishedAt, far.FinishedAt},
		} {
			if !p.from.IsZero() {
				*p.to = p.from
			}
		}
	}
	switch {
	case s.AttemptAt != nil:
		t.AttemptAt = *s.AttemptAt
	case s.V >= 2:
		t.AttemptAt = t.StartedAt
	}
	if s.Last != nil {
		t.Attempts = append(t.Attempts, s.Last.attempt(t))
	}
	return nil
}

// setTimes sets the times that columns hold.
func setTimes(t *manager.Task, ns *[numTimes]int64) {
	for i, to := range [numTimes]*time.Time{&t.CreatedAt, &t.RunAt, &t.StartedAt, &t.FinishedAt, &t.ExpiresAt} {
		if ns[i] != 0 {
			*to = time.Unix(0, ns[i]).UTC()
		}
	}
}

// sameSpec reports whether two specs are one and the same, slices and maps included, which nobody changes. It may say no too often.
func sameSpec(a, b *manager.Spec) bool {
	return a.Name == b.Name && a.Kind == b.Kind && a.Content == b.Content && a.Timeout == b.Timeout && a.StepTimeout == b.StepTimeout &&
		a.Queue == b.Queue && a.Priority == b.Priority && a.RunAt.Equal(b.RunAt) && a.Expiry == b.Expiry && a.Unique == b.Unique &&
		a.AfterFailed == b.AfterFailed && a.Collect == b.Collect &&
		a.Retry.MaxAttempts == b.Retry.MaxAttempts && a.Retry.Backoff == b.Retry.Backoff && a.Retry.MaxBackoff == b.Retry.MaxBackoff &&
		sameSlice(a.Retry.Codes, b.Retry.Codes) && sameSlice(a.Steps, b.Steps) && sameSlice(a.After, b.After) &&
		a.Args == nil && b.Args == nil && sameMap(a.Labels, b.Labels)
}

func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (a == nil) == (b == nil) && (len(a) == 0 || &a[0] == &b[0])
}

// sameMap compares maps by what they are, not by what they hold.
func sameMap(a, b map[string]string) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer())
}
