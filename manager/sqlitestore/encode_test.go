package sqlitestore

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// some returns v or, half of the time, its zero value.
func some[T any](r *rand.Rand, v T) (out T) {
	if r.IntN(2) == 0 {
		return out
	}
	return v
}

func randomText(r *rand.Rand) string {
	texts := []string{"", "plain", "with \"quotes\" \\", "<a>&b", "ünïcode\u2028", "\x00\x1f", "bad \xff utf8", "{", "a,b", "\x7f"}
	return texts[r.IntN(len(texts))]
}

func randomTime(r *rand.Rand) time.Time {
	switch r.IntN(8) {
	case 0:
		return time.Time{}
	case 1:
		return time.Date(3000, 1, 2, 3, 4, 5, 6, time.UTC) // farther than nanoseconds go
	case 2:
		return time.Unix(0, 0).UTC()
	}
	return time.Unix(r.Int64N(4e9), r.Int64N(1e9)).UTC()
}

func randomMap(r *rand.Rand) map[string]string {
	m := make(map[string]string)
	for range r.IntN(4) {
		m[randomText(r)] = randomText(r)
	}
	return some(r, m)
}

func randomSpec(r *rand.Rand) manager.Spec {
	s := manager.Spec{
		Name: randomText(r), Kind: some(r, manager.KindAgent), Content: some(r, randomText(r)), Labels: randomMap(r),
		Timeout: some(r, time.Duration(r.Int64N(1e12))), StepTimeout: some(r, 90*time.Second), Queue: some(r, "default"),
		Priority: r.IntN(5) - 2, RunAt: randomTime(r), Expiry: some(r, time.Hour), Collect: r.IntN(2) == 0,
		AfterFailed: some(r, manager.AfterSkip), After: some(r, []string{uuid.NewString(), randomText(r)}),
		Unique: some(r, manager.Unique{Key: randomText(r), Window: some(r, time.Minute), Existing: r.IntN(2) == 0}),
		Retry: manager.Retry{
			MaxAttempts: r.IntN(3), Backoff: some(r, time.Second), MaxBackoff: some(r, time.Minute), Codes: some(r, []abi.Code{abi.CodeFailed}),
		},
		TraceParent: some(r, randomText(r)),
		Args:        some(r, map[string]any{"a": "b", "n": json.Number("12345678901234567890")}),
	}
	for range r.IntN(3) {
		s.Steps = append(s.Steps, manager.Step{
			Plugin: "text", Function: some(r, "upper"), Config: randomMap(r), Timeout: some(r, time.Duration(r.Int64N(1e11))),
		})
	}
	return s
}

func randomError(r *rand.Rand) *abi.Error {
	return some(r, &abi.Error{Code: abi.CodeFailed, Message: randomText(r), Step: r.IntN(3), Detail: randomText(r), Exit: r.Uint32()})
}

func randomUsage(r *rand.Rand) abi.Usage {
	return some(r, abi.Usage{Wait: 1, Duration: time.Duration(r.Int64()), PeakMemory: r.Uint64(), Ticks: r.Uint64()})
}

func randomTask(r *rand.Rand) manager.Task {
	t := manager.Task{
		ID: uuid.Must(uuid.NewV7()).String(), Spec: randomSpec(r), Status: words[r.IntN(int(numStatuses))],
		Progress: []float64{0, 1, 0.25, 1e-9, 1.0 / 3, 1e30}[r.IntN(6)], CurrentStep: r.IntN(3), TotalSteps: r.IntN(3), Message: randomText(r),
		CreatedAt: randomTime(r), RunAt: randomTime(r), ExpiresAt: randomTime(r), StartedAt: randomTime(r), FinishedAt: randomTime(r),
		Attempt: r.IntN(4), AttemptAt: randomTime(r), Retried: r.IntN(2), Crashes: r.IntN(2), OutputBytes: r.IntN(9), InputBytes: r.IntN(9),
		PartialStep: r.IntN(2), PartialCut: r.IntN(2) == 0, CheckpointStep: r.IntN(2), Error: randomError(r), Cause: some(r, manager.CauseUser),
		Function: randomText(r), Version: some(r, abi.Digest("sha256:ab")), Usage: randomUsage(r), Revision: r.Uint64() >> 1,
	}
	if r.IntN(2) == 0 {
		t.AttemptAt = t.StartedAt
	}
	for i := range r.IntN(3) {
		a := manager.Attempt{Number: i, StartedAt: randomTime(r), FinishedAt: randomTime(r), Usage: randomUsage(r), Error: randomError(r)}
		if r.IntN(2) == 0 { // as most are
			a.StartedAt, a.FinishedAt, a.Version, a.Usage = t.AttemptAt, t.FinishedAt, t.Version, t.Usage
		}
		a.Log = some(r, []abi.LogLine{{Time: randomTime(r), Level: "info", Text: randomText(r)}})
		t.Attempts = append(t.Attempts, a)
	}
	setParts(&t, [numParts][]byte{some(r, []byte("in")), some(r, []byte{0, 255}), some(r, []byte("partial")), some(r, []byte("point"))})
	return t
}

func stateOf(t *manager.Task) stateJSON {
	s := stateJSON{
		V: stateVersion, Progress: t.Progress, CurrentStep: t.CurrentStep, TotalSteps: t.TotalSteps, Message: t.Message,
		Retried: t.Retried, Crashes: t.Crashes, OutputBytes: t.OutputBytes, InputBytes: t.InputBytes,
		PartialStep: t.PartialStep, PartialCut: t.PartialCut, CheckpointStep: t.CheckpointStep, Error: t.Error, Cause: t.Cause,
		Function: t.Function, Version: t.Version, Usage: t.Usage, Times: farTimes(t),
	}
	if !t.AttemptAt.Equal(t.StartedAt) {
		s.AttemptAt = &t.AttemptAt
	}
	if n := len(t.Attempts); n > 0 {
		a := &t.Attempts[n-1]
		s.Attempts, s.Last = t.Attempts[:n-1], &lastJSON{Number: a.Number, Error: a.Error, Log: a.Log}
		if !a.StartedAt.Equal(t.AttemptAt) {
			s.Last.StartedAt = &a.StartedAt
		}
		if !a.FinishedAt.Equal(t.FinishedAt) {
			s.Last.FinishedAt = &a.FinishedAt
		}
		if a.Version != t.Version {
			s.Last.Version = &a.Version
		}
		if a.Usage != t.Usage {
			s.Last.Usage = &a.Usage
		}
	}
	return s
}

// TestEncode compares the encoders that are written by hand with encoding/json.
func TestEncode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		task := randomTask(r)
		got, err := appendState(nil, &task)
		want, wantErr := json.Marshal(stateOf(&task))
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Fatalf("state, %v, %v:\n%s\nwant\n%s", err, wantErr, got, want)
		}
		got, err = appendSpec(nil, &task.Spec)
		plain := task.Spec
		plain.Input = nil
		want, wantErr = json.Marshal(plain)
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Fatalf("spec, %v, %v:\n%s\nwant\n%s", err, wantErr, got, want)
		}
	}
}

// TestEncodeHasEveryField fails when a field is added that the encoders do not know.
func TestEncodeHasEveryField(t *testing.T) {
	for _, c := range []struct {
		typ    reflect.Type
		fields int
	}{
		{reflect.TypeFor[manager.Task](), 31}, {reflect.TypeFor[manager.Spec](), 20}, {reflect.TypeFor[manager.Attempt](), 7},
		{reflect.TypeFor[manager.Retry](), 4}, {reflect.TypeFor[manager.Unique](), 3}, {reflect.TypeFor[manager.Step](), 4},
		{reflect.TypeFor[abi.Usage](), 4},
	} {
		if n := c.typ.NumField(); n != c.fields {
			t.Errorf("%v has %d fields, not %d: see to it that the store keeps all, and then change the number here", c.typ, n, c.fields)
		}
	}
}

// same compares tasks as JSON, with the parts of the times that JSON has.
func same(t *testing.T, got, want *manager.Task) {
	t.Helper()
	a, err := json.Marshal(got)
	b, wantErr := json.Marshal(want)
	if err != nil || wantErr != nil || !bytes.Equal(a, b) {
		t.Fatalf("%v %v\n%s\nwant\n%s", err, wantErr, a, b)
	}
}

// TestJournal takes random tasks through the journal's form.
func TestJournal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var want []manager.Task
		var ops []byte
		for range 1 + r.IntN(3) {
			task := randomTask(r)
			// What is no valid UTF-8 comes back as JSON has it.
			clean, err := json.Marshal(task)
			if err != nil {
				t.Fatal(err)
			}
			id := task.ID
			task = manager.Task{}
			if err := json.Unmarshal(clean, &task); err != nil {
				t.Fatal(err)
			}
			seq, u, _ := seqOf(id)
			row, err := newRow(&task, seq, u)
			if err != nil {
				t.Fatal(err)
			}
			ops = appendOp(ops, row, 0, 0)
			want = append(want, task)
		}
		i := 0
		err := decodeOps(ops, func(o *op) error {
			same(t, &o.task, &want[i])
			i++
			return nil
		})
		if err != nil || i != len(want) {
			t.Fatal(i, err)
		}
	}
}

// FuzzJournal feeds the decoder of journal rows with anything: it says what is wrong, and never panics. What it reads comes back.
func FuzzJournal(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 10 {
		task := randomTask(r)
		seq, u, _ := seqOf(task.ID)
		row, err := newRow(&task, seq, u)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(appendOp(nil, row, 0, 0))
		f.Add(appendOp(nil, row, 1, 2))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = decodeOps(data, func(o *op) error {
			row, err := newRow(&o.task, o.seq, o.uuid)
			if err != nil {
				return err
			}
			row.bytes = o.bytes
			return decodeOps(appendOp(nil, row, o.kept, o.big), func(again *op) error {
				same(t, &again.task, &o.task)
				return nil
			})
		})
	})
}

// FuzzRunning feeds the decoder of the file of running attempts.
func FuzzRunning(f *testing.F) {
	f.Add(make([]byte, slotBytes))
	f.Fuzz(func(_ *testing.T, data []byte) { decodeRunning(data) })
}

func TestSeqOf(t *testing.T) {
	last := int64(-1)
	for range 100 {
		id := uuid.Must(uuid.NewV7())
		seq, u, ok := seqOf(id.String())
		if !ok || u != id || seq <= last {
			t.Fatalf("%s is %d after %d", id, seq, last)
		}
		last = seq
		if _, _, ok := seqOf(strings.ToUpper(id.String())); ok {
			t.Error("an id in capitals is another id")
		}
		sec, nsec := id.Time().UnixTime()
		if at := time.Unix(sec, nsec).UnixMilli(); firstSeq(at) > seq || firstSeq(at+1) <= seq {
			t.Errorf("%d is not in %d", seq, at)
		}
	}
	for _, id := range []string{"", "nobody", "0190000000007000800000000000000000ab", "{1900000-0000-7000-8000-000000000001}"} {
		if _, _, ok := seqOf(id); ok {
			t.Errorf("%q is a UUID", id)
		}
	}
}

// TestQueryPlans checks that no query goes through a whole table.
func TestQueryPlans(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: t.TempDir() + "/tasks.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	for _, query := range []string{
		orderQuery, rangeQuery, expireKeys, "SELECT key, id, seq, until FROM unique_keys WHERE until > ?", labelQuery, hasLabel, sweepQuery, liveQuery, updateRow,
		"SELECT " + columns + partColumns + " FROM tasks t WHERE seq = ?", "SELECT data FROM blobs WHERE key = ?",
		"SELECT name, revision, data FROM records WHERE kind = ? AND name > ? ORDER BY name LIMIT ?",
		"SELECT label FROM label_names WHERE name = ? AND value = ?",
		"SELECT status, bytes, parts, spec, revision FROM tasks WHERE seq = ?",
		"DELETE FROM journal WHERE n <= ?", "DELETE FROM tasks WHERE seq = ?", "DELETE FROM blobs WHERE key = ?",
		"DELETE FROM labels WHERE label = ? AND seq = ?",
	} {
		err := s.read(t.Context(), func(r *reading) error {
			st, _, err := r.c.Prepare("EXPLAIN QUERY PLAN " + query)
			if err != nil {
				return err
			}
			defer st.Close()
			for st.Step() {
				if text := st.ColumnText(3); strings.HasPrefix(text, "SCAN") && text != "SCAN CONSTANT ROW" || strings.Contains(text, "TEMP B-TREE") {
					t.Errorf("%s\n\t%s", query, text)
				}
			}
			return st.Err()
		})
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}
