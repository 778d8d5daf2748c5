package sqlitestore_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
	"github.com/taskhost/taskhost/manager/sqlitestore/internal/faultfs"
)

// counting is an agent that counts its completed tasks in its memory.
type counting struct{}

func (counting) Run(_ context.Context, call abi.Call, _ func(abi.Progress)) (abi.Result, error) {
	n, _ := strconv.Atoi(string(call.Vars["n"]))
	next := []byte(strconv.Itoa(n + 1))
	return abi.Result{Output: next, Vars: map[string][]byte{"n": next}}, nil
}

// dying is a disk that dies at the n-th of its changes: that one is made in half, and none afterwards. To the file that is as if
// the process had been killed, or the power cut, in the midst of it.
type dying struct{ left atomic.Int64 }

func (d *dying) decide(op faultfs.Op) faultfs.Fault {
	if op.Kind == faultfs.Read {
		return faultfs.Fault{}
	}
	switch n := d.left.Add(-1); {
	case n > 0:
		return faultfs.Fault{}
	case n == 0:
		return faultfs.Fault{Err: faultfs.ErrIO, Torn: op.Kind == faultfs.Write}
	}
	return faultfs.Fault{Err: faultfs.ErrIO}
}

// TestMemoryAndCompletion kills a store a thousand times at every kind of moment while an agent counts its completed tasks: what it
// remembers and what has completed never differ, and no acknowledged completion is lost.
func TestMemoryAndCompletion(t *testing.T) {
	kills := 1000
	if raceDetector {
		kills = 50 // make kills has the others
	}
	var disk dying
	path := newPath(t)
	vfs := faultfs.Register("", disk.decide)
	told := 0 // completions that were told
	for n := range kills {
		disk.left.Store(1 << 60)
		s := open(t, sqlitestore.Config{Path: path, VFS: vfs})
		have := remembered(t, s)
		if have < told {
			t.Fatalf("before kill %d: %d tasks were told to be completed, and %d are remembered", n, told, have)
		}
		disk.left.Store(1 + rand.Int64N(24))
		told = countUntilDead(t, s, have)
	}
	disk.left.Store(1 << 60)
	s := open(t, sqlitestore.Config{Path: path, VFS: vfs})
	if n := remembered(t, s); n < kills/4 {
		t.Errorf("only %d tasks have completed between %d kills", n, kills)
	}
	closeStore(t, s)
	checked(t, path)
}

// countUntilDead has the agent count until its store is dead, and returns the last number that it was told.
func countUntilDead(t *testing.T, s *sqlitestore.Store, told int) int {
	t.Helper()
	m, err := manager.New(counting{}, manager.Config{Store: s, KeepOnStop: true, MaxConcurrent: 2, StopGrace: time.Minute})
	if err == nil {
		err = m.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		task, err := m.Submit(t.Context(), manager.AgentTask("bot/1", "count", nil))
		if err != nil {
			break
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		task, err = m.Result(ctx, task.ID)
		stop()
		if err != nil {
			break
		}
		if told, err = strconv.Atoi(string(task.Output)); err != nil {
			t.Fatal(err)
		}
	}
	_ = m.Stop(over)  // nothing can be stored any more
	_ = s.Close(over) // nor here
	return told
}

// remembered is how many tasks the agent has completed, by its memory, which must be what the tasks say.
func remembered(t *testing.T, s *sqlitestore.Store) int {
	t.Helper()
	rec, err := s.Record(t.Context(), "memory", "bot/1")
	var vars map[string][]byte
	switch {
	case abi.CodeOf(err) == abi.CodeNotFound:
	case err != nil:
		t.Fatal(err)
	default:
		if err := json.Unmarshal(rec.Data, &vars); err != nil {
			t.Fatal(err)
		}
	}
	n, _ := strconv.Atoi(string(vars["n"]))
	if c := counts(t, s); c.Completed != n {
		t.Fatalf("%d tasks have completed, and the agent remembers %d", c.Completed, n)
	}
	return n
}
