package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

func claimOrder(t *testing.T, s manager.Store) {
	for n := range 5 {
		create(t, s, newTask(n))
	}
	for n := range 5 {
		task, _ := claim(t, s, ttl)
		if task.ID != newTask(n).ID {
			t.Fatalf("claim %d gave %s", n, task.ID)
		}
		if string(task.Spec.Input) != "hello" || task.Status != manager.StatusPending {
			t.Fatalf("a claimed task is %s with input %q", task.Status, task.Spec.Input)
		}
	}
	noClaim(t, s)
}

func claimWaits(t *testing.T, s manager.Store) {
	got := make(chan string, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		task, _, err := s.Claim(ctx, ttl)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- task.ID
	}()
	want := create(t, s, newTask(1))
	if id := <-got; id != want.ID {
		t.Fatalf("the waiting claim got %s, want %s", id, want.ID)
	}
}

func claimContext(t *testing.T, s manager.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, _, err := s.Claim(ctx, ttl)
		failed <- err
	}()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatalf("claim ended with %v", err)
	}
	// A claim that gave up must not have taken a task with it.
	create(t, s, newTask(1))
	claim(t, s, ttl)
}

func claimGivesUp(t *testing.T, s manager.Store) {
	for n := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan bool, 2)
		for _, ctx := range []context.Context{ctx, t.Context()} {
			go func() {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				_, _, err := s.Claim(ctx, ttl)
				got <- err == nil
			}()
		}
		go cancel()
		create(t, s, newTask(2*n))
		if a := <-got; !a { // the one that gave up; the other must get it
			if !<-got {
				t.Fatal("the task was lost")
			}
			continue
		}
		create(t, s, newTask(2*n+1)) // the first claim has a task: the second one's turn, unless it gave up
		if !<-got {
			claim(t, s, ttl)
		}
	}
}

func claimDelay(t *testing.T, s manager.Store) {
	n := 1
	for delay := 40 * time.Millisecond; !claimsInTurn(t, s, n, delay); delay *= 2 {
		n += 3 // more than one was due when this test got to claim: nothing says which is first
	}
}

// claimsInTurn claims three tasks, of which two wait, once and twice that long, and checks that none comes too early. It tells whether
// it was quick enough for each to be the only one due.
func claimsInTurn(t *testing.T, s manager.Store, n int, delay time.Duration) bool {
	t.Helper()
	now := time.Now()
	late, soon, first := newTask(n), newTask(n+1), newTask(n+2)
	late.RunAt, soon.RunAt = now.Add(2*delay), now.Add(delay)
	for _, task := range []manager.Task{late, soon, first} {
		create(t, s, task)
	}
	alone := true
	for i, want := range []manager.Task{first, soon, late} {
		task, _ := claim(t, s, ttl)
		now := time.Now()
		if now.Before(task.RunAt) {
			t.Fatalf("claimed %v too early", task.RunAt.Sub(now))
		}
		next := []time.Time{soon.RunAt, late.RunAt, now.Add(1)}[i]
		if alone = alone && now.Before(next); alone && task.ID != want.ID {
			t.Fatalf("claim %d gave %s", i, task.ID)
		}
	}
	return alone
}

func claimHammer(t *testing.T, s manager.Store) {
	const tasks, claims = 200, 8
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var mu sync.Mutex
	seen := make(map[string]int)
	var wg sync.WaitGroup
	for range claims {
		wg.Go(func() {
			for {
				task, l, err := s.Claim(ctx, ttl)
				if err != nil {
					return
				}
				task = running(task, time.Now())
				if task.Revision, err = s.Save(ctx, task, l); err == nil {
					_, err = s.Save(ctx, completed(task, time.Now()), l)
				}
				mu.Lock()
				seen[task.ID]++
				if err != nil {
					t.Errorf("task %s: %v", task.ID, err)
				}
				if len(seen) == tasks {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for n := range tasks {
		create(t, s, newTask(n))
	}
	wg.Wait()
	if len(seen) != tasks {
		t.Errorf("%d tasks were claimed, want %d", len(seen), tasks)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("task %s was claimed %d times", id, n)
		}
	}
}

func settleFinal(t *testing.T, s manager.Store) {
	create(t, s, newTask(1))
	task, l := claim(t, s, ttl)
	task = save(t, s, running(task, time.Now()), l)
	task = save(t, s, completed(task, time.Now()), l)
	get(t, s, task)
	_, err := s.Save(t.Context(), task, l)
	wantCode(t, err, abi.CodeLeaseLost)
	_, err = s.Extend(t.Context(), l, ttl)
	wantCode(t, err, abi.CodeLeaseLost)
	noClaim(t, s)
}

func settlePending(t *testing.T, s manager.Store) {
	create(t, s, newTask(1))
	task, l := claim(t, s, ttl)
	task = save(t, s, running(task, time.Now()), l)
	task.Status, task.RunAt = manager.StatusPending, time.Now().Add(30*time.Millisecond)
	task = save(t, s, task, l)
	_, err := s.Extend(t.Context(), l, ttl)
	wantCode(t, err, abi.CodeLeaseLost)

	again, l2 := claim(t, s, ttl)
	if again.ID != task.ID || l2.Token == l.Token || again.Attempt != 1 {
		t.Fatalf("claimed %s, token %d after %d, attempt %d", again.ID, l2.Token, l.Token, again.Attempt)
	}
	if time.Now().Before(task.RunAt) {
		t.Fatal("claimed too early")
	}
	_, err = s.Save(t.Context(), again, l) // the old lease
	wantCode(t, err, abi.CodeLeaseLost)
	save(t, s, completed(running(again, time.Now()), time.Now()), l2)
}

func cancelLeased(t *testing.T, s manager.Store) {
	create(t, s, newTask(1))
	claimed, l := claim(t, s, ttl)
	task := claimed
	task.Status, task.FinishedAt = manager.StatusCancelled, time.Now()
	task.Error = &abi.Error{Code: abi.CodeCancelled, Message: "cancelled"}
	task = save(t, s, task, manager.Lease{})
	_, err := s.Save(t.Context(), running(claimed, time.Now()), l)
	wantCode(t, err, abi.CodeLeaseLost)
	get(t, s, task)
	noClaim(t, s)
}

func leaseRunsOut(t *testing.T, s manager.Store) {
	create(t, s, newTask(1))
	task, l := claim(t, s, 30*time.Millisecond)
	task = save(t, s, running(task, time.Now()), l)

	taken, l2 := claim(t, s, ttl)
	if taken.ID != task.ID || taken.Status != manager.StatusRunning || l2.Token == l.Token {
		t.Fatalf("claimed %s (%s), token %d after %d", taken.ID, taken.Status, l2.Token, l.Token)
	}
	_, err := s.Save(t.Context(), completed(task, time.Now()), l)
	wantCode(t, err, abi.CodeLeaseLost)
	_, err = s.Extend(t.Context(), l, ttl)
	wantCode(t, err, abi.CodeLeaseLost)
	get(t, s, taken)
	save(t, s, completed(taken, time.Now()), l2)
}

func leaseExtended(t *testing.T, s manager.Store) {
	create(t, s, newTask(1))
	task, l := claim(t, s, 40*time.Millisecond)
	if _, err := s.Extend(t.Context(), l, ttl); err != nil {
		t.Fatalf("Extend: %v", err)
	}
	noClaim(t, s)
	save(t, s, completed(running(task, time.Now()), time.Now()), l)
}

func extendShowsCancel(t *testing.T, s manager.Store) {
	create(t, s, newTask(1))
	task, l := claim(t, s, ttl)
	task = save(t, s, running(task, time.Now()), l)
	asked := task
	asked.Cause = manager.CauseUser
	asked = save(t, s, asked, manager.Lease{})

	now, err := s.Extend(t.Context(), l, ttl)
	if err != nil {
		t.Fatalf("Extend: %v", err)
	}
	if now.Cause != manager.CauseUser || now.Revision != asked.Revision || now.Spec.Input != nil {
		t.Fatalf("Extend gave cause %q, revision %d, %d bytes of input", now.Cause, now.Revision, len(now.Spec.Input))
	}
	_, err = s.Save(t.Context(), completed(task, time.Now()), l) // the lease holds, but the revision is old
	wantCode(t, err, abi.CodeConflict)
	save(t, s, completed(asked, time.Now()), l)
}
