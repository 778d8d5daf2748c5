package sqlitestore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/manager/sqlitestore/internal/faultfs"
)

// chaosEnv makes the test binary a process that works until a fault kills it: "path kind n torn".
const chaosEnv = "SQLITESTORE_CHAOS"

// TestKilled kills a process that works on a store at some write, sync or truncation, again and again on the same file: what it said
// it had created is there, what it said it had completed is completed, and the file is sound.
func TestKilled(t *testing.T) {
	if todo := os.Getenv(chaosEnv); todo != "" {
		chaos(t, todo)
		return
	}
	if testing.Short() {
		return
	}
	path := newPath(t)
	created, done := make(map[string]bool), make(map[string]bool)
	for round, fault := range []string{
		"0 40 false", "0 300 true", "1 30 false", "0 77 true", "1 49 false", "0 700 false", "2 1 false", "0 3 true", "1 60 false", "0 401 true",
	} {
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.count=1")
		child.Env = append(os.Environ(), chaosEnv+"="+path+" "+fault)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			what, id, _ := strings.Cut(lines.Text(), " ")
			switch what {
			case "created":
				created[id] = true
			case "done":
				done[id] = true
			case "error":
				t.Error(lines.Text())
			}
		}
		if exit, ok := errors.AsType[*exec.ExitError](child.Wait()); ok && exit.ExitCode() != faultfs.Killed {
			t.Errorf("round %d ended with %v", round, exit)
		}
		t.Logf("round %d (%s): %s; %d created, %d done so far", round, fault, child.ProcessState, len(created), len(done))
		verify(t, path, created, done)
	}
	if len(done) == 0 {
		t.Error("nothing was done")
	}
}

func verify(t *testing.T, path string, created, done map[string]bool) {
	t.Helper()
	checked(t, path)
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for id := range created {
		task, err := s.Get(t.Context(), id)
		if err != nil {
			t.Errorf("a task that was created: %v", err)
		} else if done[id] && (task.Status != manager.StatusCompleted || string(task.Output) != "out") {
			t.Errorf("task %s was completed and is %s", id, task.Status)
		}
	}
	closeStore(t, s)
	checked(t, path)
}

// chaos works until it is killed, or for a while, and says what was acknowledged.
func chaos(t *testing.T, todo string) {
	t.Helper()
	f := strings.Fields(todo)
	path, torn := f[0], f[3] == "true"
	kind, _ := strconv.Atoi(f[1])
	n, _ := strconv.Atoi(f[2])
	name := faultfs.Register("", func(op faultfs.Op) faultfs.Fault {
		if int(op.Kind) == kind && op.N == n {
			return faultfs.Fault{Kill: true, Torn: torn}
		}
		return faultfs.Fault{}
	})
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path, VFS: name})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var mu sync.Mutex
	say := func(what string, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for round := 0; ctx.Err() == nil && round < 80; round++ {
				task := aTask(t)
				if i == 0 {
					task.Spec.Input = make([]byte, 300<<10)
				}
				if err := s.Create(ctx, []manager.Task{task}, manager.CreateOptions{}); err != nil {
					continue
				}
				say("created", task.ID)
				if i%2 == 0 {
					if _, err := s.List(ctx, manager.Filter{Limit: 1}); err != nil {
						continue
					}
				}
				task, l, err := s.Claim(ctx, time.Minute)
				if err != nil {
					continue
				}
				task.Status, task.Attempt, task.AttemptAt = manager.StatusRunning, task.Attempt+1, time.Now().UTC()
				if task.Revision, err = s.Save(ctx, task, l); err != nil {
					continue
				}
				task.Status, task.FinishedAt, task.Output = manager.StatusCompleted, time.Now().UTC(), []byte("out")
				if _, err = s.Save(ctx, task, l); err == nil {
					say("done", task.ID)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(context.Background()); err != nil {
		fmt.Println("error", err)
	}
}
