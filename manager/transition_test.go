package manager

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// TestTransitionTable checks every status with every move: what it becomes, or that it is refused and nothing changes.
func TestTransitionTable(t *testing.T) {
	table := map[Status]map[move]Status{
		StatusPending: {
			moveStart: StatusRunning, moveAsk: StatusCancelled, moveFail: StatusFailed, moveRelease: StatusPending,
		},
		StatusRunning: {
			moveSucceed: StatusCompleted, moveFail: StatusFailed, moveAsk: StatusRunning, moveStop: StatusCancelled,
			moveRelease: StatusPending, moveLose: StatusPending, moveNote: StatusRunning,
		},
		StatusCompleted: {}, StatusFailed: {moveRevive: StatusPending}, StatusCancelled: {moveRevive: StatusPending},
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, from := range Statuses() {
		for m := range numMoves {
			task := Task{ID: "x", Status: from, Spec: Spec{Steps: []Step{{Plugin: "p"}}, Retry: Retry{MaxAttempts: 1}}}
			if from == StatusRunning {
				task.Attempt, task.StartedAt, task.AttemptAt = 1, now, now
			}
			c := change{move: m, now: now.Add(time.Second), cause: CauseShutdown, err: &abi.Error{Code: abi.CodeTrap}}
			got, err := transition(task, c)
			want, ok := table[from][m]
			switch {
			case !ok && (abi.CodeOf(err) != abi.CodeConflict || got.Status != from):
				t.Errorf("%s, %v: got %s, %v; want a conflict", from, m, got.Status, err)
			case ok && (err != nil || got.Status != want):
				t.Errorf("%s, %v: got %s, %v; want %s", from, m, got.Status, err, want)
			case ok && got.Status.Final() != !got.FinishedAt.IsZero():
				t.Errorf("%s, %v: %s with FinishedAt %v", from, m, got.Status, got.FinishedAt)
			case ok && (got.Status == StatusFailed || got.Status == StatusCancelled) && got.Error == nil:
				t.Errorf("%s, %v: %s without an error", from, m, got.Status)
			}
		}
	}
}

func TestTransitionFailAsksRetryPolicy(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name    string
		retry   Retry
		timeout time.Duration
		attempt int
		code    abi.Code
		cause   Cause
		want    Status
		wait    time.Duration
	}{
		{"first of one", Retry{MaxAttempts: 1, Backoff: time.Second, MaxBackoff: time.Minute}, 0, 1, abi.CodeFailed, "", StatusFailed, 0},
		{"first of three", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute}, 0, 1, abi.CodeFailed, "", StatusPending, time.Second},
		{"second of three doubles", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute}, 0, 2, abi.CodeUnavailable, "", StatusPending, 2 * time.Second},
		{"third of three", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute}, 0, 3, abi.CodeFailed, "", StatusFailed, 0},
		{"the wait is bounded", Retry{MaxAttempts: 90, Backoff: time.Second, MaxBackoff: 5 * time.Second}, 0, 80, abi.CodeFailed, "", StatusPending, 5 * time.Second},
		{"traps are not tried again", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute}, 0, 1, abi.CodeTrap, "", StatusFailed, 0},
		{"unless the policy says so", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute, Codes: []abi.Code{abi.CodeTrap}}, 0, 1, abi.CodeTrap, "", StatusPending, time.Second},
		{"only the policy's codes", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute, Codes: []abi.Code{abi.CodeTrap}}, 0, 1, abi.CodeFailed, "", StatusFailed, 0},
		{"bad input is not", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute}, 0, 1, abi.CodeInvalid, "", StatusFailed, 0},
		{"no time left for another", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute}, 1500 * time.Millisecond, 1, abi.CodeFailed, "", StatusFailed, 0},
		{"asked to stop", Retry{MaxAttempts: 3, Backoff: time.Second, MaxBackoff: time.Minute}, 0, 1, abi.CodeFailed, CauseUser, StatusCancelled, 0},
	} {
		task := Task{
			ID: "x", Status: StatusRunning, Attempt: c.attempt, StartedAt: now.Add(-time.Second), AttemptAt: now.Add(-time.Second), Cause: c.cause,
			Spec: Spec{Steps: []Step{{Plugin: "p"}}, Retry: c.retry, Timeout: c.timeout},
		}
		got, err := transition(task, change{move: moveFail, now: now, err: &abi.Error{Code: c.code}})
		if err != nil || got.Status != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got.Status, err, c.want)
		}
		if c.wait != 0 && !got.RunAt.Equal(now.Add(c.wait)) {
			t.Errorf("%s: waits %v, want %v", c.name, got.RunAt.Sub(now), c.wait)
		}
		if len(got.Attempts) != 1 || got.Attempts[0].Number != c.attempt || got.Attempts[0].Error == nil {
			t.Errorf("%s: attempts %+v", c.name, got.Attempts)
		}
	}
	r := Retry{Backoff: time.Second, MaxBackoff: time.Minute}
	if d := r.wait(1, 0.999); d < 500*time.Millisecond || d > 501*time.Millisecond {
		t.Errorf("the most jitter leaves %v of a second", d)
	}
}

// TestTransitionIsPure checks that a transition does not write to what the old task shares.
func TestTransitionIsPure(t *testing.T) {
	attempts := make([]Attempt, MaxKeptAttempts, MaxKeptAttempts+5)
	for i := range attempts {
		attempts[i].Number = i + 1
	}
	before := slices.Clone(attempts[:cap(attempts)])
	task := Task{Status: StatusRunning, Attempt: 11, Attempts: attempts, Spec: Spec{Retry: Retry{MaxAttempts: 50}}}
	got, err := transition(task, change{move: moveFail, err: &abi.Error{Code: abi.CodeFailed}})
	if err != nil || len(got.Attempts) != MaxKeptAttempts || got.Attempts[0].Number != 2 || got.Attempts[9].Number != 11 {
		t.Fatalf("%v: attempts %+v", err, got.Attempts)
	}
	same := func(a, b Attempt) bool { return a.Number == b.Number && a.Error == b.Error }
	if !slices.EqualFunc(before, attempts[:cap(attempts)], same) {
		t.Fatal("the old attempts were written to")
	}
}

func TestTransitionKeepsPartialWithinBounds(t *testing.T) {
	task := Task{Status: StatusRunning, Attempt: 1, Spec: Spec{Steps: make([]Step, 2), Retry: Retry{MaxAttempts: 5}}}
	for _, size := range []int{10, MaxPartialBytes, MaxPartialBytes + 1} {
		got, err := transition(task, change{
			move: moveFail, err: &abi.Error{Code: abi.CodeFailed}, ended: ended{partial: make([]byte, size), partialStep: 1},
		})
		if err != nil || len(got.Partial) != min(size, MaxPartialBytes) || got.PartialStep != 1 || got.PartialCut != (size > MaxPartialBytes) {
			t.Fatalf("%d bytes: kept %d of step %d, cut %v, %v", size, len(got.Partial), got.PartialStep, got.PartialCut, err)
		}
		next, err := transition(got, change{move: moveStart})
		if err != nil || (next.PartialStep == 0) != got.PartialCut {
			t.Fatalf("%d bytes: goes on after step %d, %v", size, next.PartialStep, err)
		}
	}
}

func TestDurationAndCounts(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if d := (Task{}).Duration(); d != 0 {
		t.Error(d)
	}
	if d := (Task{StartedAt: at, FinishedAt: at.Add(time.Second)}).Duration(); d != time.Second {
		t.Error(d)
	}
	if d := (Task{StartedAt: time.Now().Add(-time.Hour)}).Duration(); d < time.Hour {
		t.Error(d)
	}
	c := Counts{Pending: 1, Running: 2, Completed: 3, Failed: 4, Cancelled: 5}
	for i, s := range Statuses() {
		if c.Of(s) != i+1 {
			t.Errorf("%d %s tasks", c.Of(s), s)
		}
	}
	if c.Of("done") != 0 {
		t.Error(c.Of("done"))
	}
}

// TestTransitionProperties walks at random and checks what must hold for every task after every change.
func TestTransitionProperties(t *testing.T) {
	causes := []Cause{CauseUser, CauseShutdown}
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		task := Task{
			ID: "x", Status: StatusPending, CreatedAt: now,
			Spec: Spec{
				Steps: make([]Step, 1+rnd.IntN(3)), Timeout: time.Duration(rnd.IntN(2)) * time.Minute,
				Retry: Retry{MaxAttempts: 1 + rnd.IntN(20), Backoff: time.Second, MaxBackoff: time.Minute},
			},
		}
		for range 60 {
			now = now.Add(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			c := change{
				move: move(rnd.IntN(int(numMoves))), now: now, jitter: rnd.Float64(), cause: causes[rnd.IntN(2)],
				err:   &abi.Error{Code: abi.Codes()[rnd.IntN(len(abi.Codes()))]},
				ended: ended{output: []byte("out"), partial: []byte("part"), partialStep: rnd.IntN(len(task.Spec.Steps))},
			}
			next, err := transition(task, c)
			switch {
			case err != nil && next.Status != task.Status,
				err == nil && task.Status.Final() && c.move != moveRevive,
				task.Status == StatusCompleted && err == nil,
				next.Crashes > MaxCrashes || (next.Crashes == MaxCrashes && next.Status != StatusFailed),
				next.Retried > next.Attempt,
				next.Status.Final() == next.FinishedAt.IsZero(),
				next.Status == StatusRunning && (next.Attempt == 0 || next.StartedAt.IsZero() || next.AttemptAt.IsZero()),
				next.Status == StatusCompleted && (next.Error != nil || next.Cause != "" || next.Progress != 1 || next.Partial != nil),
				(next.Status == StatusFailed || next.Status == StatusCancelled) && next.Error == nil,
				next.Status == StatusCancelled && next.Cause == "",
				next.Status != StatusCompleted && next.Output != nil,
				next.Status != StatusPending && !next.RunAt.IsZero(),
				next.Status == StatusPending && next.Cause != "",
				next.Attempt < task.Attempt && c.move != moveRelease,
				len(next.Attempts) > MaxKeptAttempts,
				next.Progress < 0 || next.Progress > 1 || next.CurrentStep > next.TotalSteps:
				t.Fatalf("seed %d: %v of\n%+v\ngave %v\n%+v", seed, c.move, task, err, next)
			}
			task = next
		}
	}
}
