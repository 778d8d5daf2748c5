package sqlitestore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// sql runs statements on a file that no store has open.
func sql(t testing.TB, path, statements string) {
	t.Helper()
	c, err := sqlite3.Open("file:" + path)
	if err == nil {
		err = c.Exec(statements)
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless a file cannot be opened, for a reason that says this.
func refused(t testing.TB, cfg sqlitestore.Config, code abi.Code, says string) {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), cfg)
	if err == nil {
		_ = s.Close(t.Context())
	}
	if abi.CodeOf(err) != code || !strings.Contains(err.Error(), says) {
		t.Errorf("open: %v (%s); want %s: ...%s...", err, abi.CodeOf(err), code, says)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Run("a second process", func(t *testing.T) {
		cfg := sqlitestore.Config{Path: newPath(t)}
		open(t, cfg)
		refused(t, cfg, abi.CodeUnavailable, "in use by process "+strconv.Itoa(os.Getpid()))
	})
	t.Run("a newer version", func(t *testing.T) {
		cfg := sqlitestore.Config{Path: newPath(t)}
		closeStore(t, open(t, cfg))
		sql(t, cfg.Path, "PRAGMA user_version = 1000")
		refused(t, cfg, abi.CodeInvalid, "version 1000")
	})
	t.Run("another program's database", func(t *testing.T) {
		cfg := sqlitestore.Config{Path: newPath(t)}
		sql(t, cfg.Path, "CREATE TABLE t(x)")
		refused(t, cfg, abi.CodeInvalid, "another program")
	})
	t.Run("no database", func(t *testing.T) {
		cfg := sqlitestore.Config{Path: newPath(t)}
		if err := os.WriteFile(cfg.Path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, cfg, abi.CodeInvalid, "is no database")
	})
	t.Run("no folder", func(t *testing.T) {
		refused(t, sqlitestore.Config{Path: filepath.Join(t.TempDir(), "none", "tasks.db")}, abi.CodeInvalid, "make it first")
	})
	t.Run("a folder", func(t *testing.T) {
		refused(t, sqlitestore.Config{Path: t.TempDir()}, abi.CodeUnavailable, "cannot be opened")
	})
	t.Run("an unknown file system", func(t *testing.T) {
		refused(t, sqlitestore.Config{Path: newPath(t), VFS: "none"}, abi.CodeInvalid, "none")
	})
	t.Run("no path", func(t *testing.T) { refused(t, sqlitestore.Config{}, abi.CodeInvalid, "path") })
}

// TestMigrate opens a database of version 0, which is an empty one.
func TestMigrate(t *testing.T) {
	cfg := sqlitestore.Config{Path: newPath(t)}
	sql(t, cfg.Path, "PRAGMA application_id = "+strconv.Itoa(0x544b4853)+"; PRAGMA user_version = 0; VACUUM")
	s := open(t, cfg)
	create(t, s, aTask(t))
	closeStore(t, s)
	checked(t, cfg.Path)

	cfg.Path = newPath(t)
	open(t, cfg)
	fi, err := os.Stat(cfg.Path)
	if err != nil || fi.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file's mode is %v, %v", fi.Mode(), err)
	}
}

// TestMigrateStates opens a database of version 1, whose rows have the longer form of state.
func TestMigrateStates(t *testing.T) {
	cfg := sqlitestore.Config{Path: newPath(t)}
	s := open(t, cfg)
	id := create(t, s, aTask(t))[0].ID
	closeStore(t, s)
	sql(t, cfg.Path, `UPDATE tasks SET attempt = 1, started_at = 1700000000000000000, state = '{"total_steps":1,"attempts":[`+
		`{"number":1,"started_at":"2023-11-14T22:13:20Z","finished_at":"2023-11-14T22:13:21Z","usage":{"wait_ns":0,"duration_ns":5,"peak_memory":0,"ticks":0}}],`+
		`"input_bytes":16,"version":"sha256:ab","usage":{"wait_ns":0,"duration_ns":7,"peak_memory":0,"ticks":0}}'; PRAGMA user_version = 1`)
	for range 2 { // as it was, and again once it was written anew
		s = open(t, cfg)
		task, err := s.Get(t.Context(), id)
		if err != nil || len(task.Attempts) != 1 {
			t.Fatalf("%+v, %v", task, err)
		}
		began := time.Unix(1700000000, 0).UTC()
		a := task.Attempts[0]
		if !task.AttemptAt.IsZero() || !task.StartedAt.Equal(began) || task.Version != "sha256:ab" || task.Usage.Duration != 7 ||
			!a.StartedAt.Equal(began) || !a.FinishedAt.Equal(began.Add(time.Second)) || a.Version != "" || a.Usage.Duration != 5 {
			t.Errorf("%+v", task)
		}
		if _, err := s.Save(t.Context(), task, manager.Lease{}); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
		checked(t, cfg.Path)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, sqlitestore.Config{Path: newPath(t)})
	task := create(t, s, aTask(t))[0]
	closeStore(t, s)
	closeStore(t, s) // twice does no harm
	_, saved := s.Save(t.Context(), task, manager.Lease{})
	_, listed := s.List(t.Context(), manager.Filter{})
	_, recorded := s.Record(t.Context(), "k", "n")
	for what, err := range map[string]error{
		"record": recorded, "delete": s.Delete(t.Context(), task.ID), "backup": s.Backup(t.Context(), newPath(t)),
		"create": s.Create(t.Context(), []manager.Task{aTask(t)}, manager.CreateOptions{}), "save": saved, "list": listed,
		"put": s.Put(t.Context(), manager.Record{Kind: "k", Name: "n", Data: []byte("x")}), "vacuum": s.Vacuum(t.Context()),
	} {
		if abi.CodeOf(err) != abi.CodeClosed {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCache has more pending tasks than the cache may hold: they are read back when they are claimed.
func TestCache(t *testing.T) {
	s := open(t, sqlitestore.Config{Path: newPath(t), CacheBytes: 1})
	var want []manager.Task
	for i := range 50 {
		task := aTask(t)
		task.Spec.Input = []byte(fmt.Sprint("input ", i))
		task.Spec.Labels = map[string]string{"n": strconv.Itoa(i)}
		want = append(want, create(t, s, task)[0])
	}
	if _, err := s.List(t.Context(), manager.Filter{}); err != nil { // all are in the table after it
		t.Fatal(err)
	}
	for i := range want {
		if i%2 == 0 { // somebody changes it before
			task := get(t, s, want[i].ID)
			task.Message = "changed"
			var err error
			if task.Revision, err = s.Save(t.Context(), task, manager.Lease{}); err != nil {
				t.Fatal(err)
			}
		}
		task, l := begin(t, s)
		if task.ID != want[i].ID || string(task.Spec.Input) != fmt.Sprint("input ", i) || task.Spec.Labels["n"] != strconv.Itoa(i) {
			t.Fatalf("task %d came back as %+v", i, task)
		}
		if (task.Message == "changed") != (i%2 == 0) {
			t.Errorf("task %d says %q", i, task.Message)
		}
		complete(t, s, task, l)
	}
}

// TestBigParts has inputs, outputs and checkpoints that do not go into the row.
func TestBigParts(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path, CacheBytes: 1})
	big := func(b byte) []byte { return bytes.Repeat([]byte{b}, 300<<10) }
	task := aTask(t)
	task.Spec.Input = big(1)
	create(t, s, task)
	check := func(step string, id string, output, checkpoint []byte) {
		t.Helper()
		list := []manager.Store{s, open(t, sqlitestore.Config{Path: snapshot(t, path)})}
		if _, err := s.List(t.Context(), manager.Filter{}); err != nil {
			t.Fatal(err)
		}
		after := snapshot(t, path)
		checked(t, after)
		list = append(list, s, open(t, sqlitestore.Config{Path: after}))
		for i, s := range list {
			got := get(t, s, id)
			if !bytes.Equal(got.Spec.Input, big(1)) || !bytes.Equal(got.Output, output) || !bytes.Equal(got.Checkpoint, checkpoint) {
				t.Errorf("%s, %d: %d bytes of input, %d of output, %d of checkpoint", step, i, len(got.Spec.Input), len(got.Output), len(got.Checkpoint))
			}
		}
	}
	check("created", task.ID, nil, nil)
	task, l := begin(t, s)
	for i := range byte(3) {
		task.Checkpoint = big(10 + i)
		var err error
		if task.Revision, err = s.Save(t.Context(), task, l); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprint("checkpoint ", i), task.ID, nil, task.Checkpoint)
	}
	task.Checkpoint, task.Status, task.FinishedAt, task.Output = []byte("small"), manager.StatusCompleted, time.Now().UTC(), big(2)
	if _, err := s.Save(t.Context(), task, l); err != nil {
		t.Fatal(err)
	}
	check("completed", task.ID, big(2), []byte("small"))
	if err := s.Delete(t.Context(), task.ID); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	checked(t, path)
}

// TestLinksComeBack has unique keys, dependencies, agents and limits hold after a restart.
func TestLinksComeBack(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	held, windowed := aTask(t), aTask(t)
	held.Spec.Unique.Key = "held"
	windowed.Spec.Unique = manager.Unique{Key: "windowed", Window: time.Hour}
	first, second := aTask(t), aTask(t)
	for _, a := range []*manager.Task{&first, &second} {
		a.Spec.Kind, a.Spec.Labels = manager.KindAgent, map[string]string{manager.LabelAgentID: "7"}
	}
	after := aTask(t)
	after.Spec.After = []string{held.ID}
	create(t, s, windowed)
	task, l := begin(t, s)
	complete(t, s, task, l)
	create(t, s, held, first, second, after)
	paused := manager.Limit{Queue: "later", Paused: true}
	if err := s.SetLimit(t.Context(), paused); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), manager.Record{Kind: "memory", Name: "a", Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	checked(t, path)

	s = open(t, sqlitestore.Config{Path: path})
	for key, id := range map[string]string{"held": held.ID, "windowed": windowed.ID} {
		again := []manager.Task{aTask(t)}
		again[0].Spec.Unique.Key = key
		err := s.Create(t.Context(), again, manager.CreateOptions{})
		if e, ok := errors.AsType[*abi.Error](err); !ok || e.Code != abi.CodeConflict || e.Task != id {
			t.Errorf("the key %s: %v", key, err)
		}
		again[0].Spec.Unique.Existing = true
		if err := s.Create(t.Context(), again, manager.CreateOptions{}); err != nil || again[0].ID != id {
			t.Errorf("the key %s gave %s, %v", key, again[0].ID, err)
		}
	}
	queues, err := s.Queues(t.Context())
	if err != nil || !slices.ContainsFunc(queues, func(q manager.QueueStatus) bool { return q.Queue == "later" && q.Paused }) {
		t.Errorf("queues: %+v, %v", queues, err)
	}
	rec, err := s.Record(t.Context(), "memory", "a")
	if err != nil || rec.Revision != 1 || string(rec.Data) != "x" {
		t.Errorf("record: %+v, %v", rec, err)
	}
	a, la := begin(t, s)
	b, lb := begin(t, s)
	if a.ID != held.ID || b.ID != first.ID {
		t.Fatalf("claimed %s and %s; want %s and the agent's first, %s", a.ID, b.ID, held.ID, first.ID)
	}
	complete(t, s, a, la)
	if c, _ := begin(t, s); c.ID != after.ID {
		t.Errorf("claimed %s; want the one that waited, %s", c.ID, after.ID)
	}
	complete(t, s, b, lb)
	if c, _ := begin(t, s); c.ID != second.ID {
		t.Errorf("claimed %s; want the agent's second, %s", c.ID, second.ID)
	}
}

// TestRetryOfFinal saves a final task, which is only in the table, as pending.
func TestRetryOfFinal(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	create(t, s, aTask(t))
	task, l := begin(t, s)
	task = complete(t, s, task, l)
	closeStore(t, s)
	s = open(t, sqlitestore.Config{Path: path})
	stale := task
	stale.Revision--
	if _, err := s.Save(t.Context(), stale, manager.Lease{}); abi.CodeOf(err) != abi.CodeConflict {
		t.Errorf("a stale save: %v", err)
	}
	task.Status, task.FinishedAt, task.Output = manager.StatusPending, time.Time{}, nil
	if _, err := s.Save(t.Context(), task, manager.Lease{}); err != nil {
		t.Fatal(err)
	}
	again, l := begin(t, s)
	if again.ID != task.ID || again.Attempt != 2 {
		t.Errorf("claimed %s, attempt %d", again.ID, again.Attempt)
	}
	complete(t, s, again, l)
	if c := counts(t, s); c != (manager.Counts{Completed: 1}) {
		t.Errorf("%+v", c)
	}
	closeStore(t, s)
	checked(t, path)
}

// TestBackup takes a backup while tasks are written.
func TestBackup(t *testing.T) {
	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	for range 20 {
		create(t, s, aTask(t))
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := s.Create(t.Context(), []manager.Task{aTask(t)}, manager.CreateOptions{}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	to, other := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "other.db")
	err := errors.Join(s.Backup(t.Context(), to), sqlitestore.BackupFile(t.Context(), path, other))
	vacuumed := s.Vacuum(t.Context())
	stop()
	wg.Wait()
	if err != nil || vacuumed != nil {
		t.Fatal(err, vacuumed)
	}
	if err := s.Backup(t.Context(), to); abi.CodeOf(err) != abi.CodeInvalid {
		t.Errorf("a backup over another: %v", err)
	}
	checked(t, to)
	checked(t, path) // in use
	for _, copied := range []string{to, other} {
		b := open(t, sqlitestore.Config{Path: copied})
		if c := counts(t, b); c.Pending < 20 {
			t.Errorf("%s has %+v", copied, c)
		}
	}
	err = sqlitestore.BackupFile(t.Context(), filepath.Join(t.TempDir(), "none.db"), filepath.Join(t.TempDir(), "x.db"))
	if abi.CodeOf(err) != abi.CodeNotFound {
		t.Errorf("a backup of nothing: %v", err)
	}
}

// TestCheckFindsDamage damages files in several ways.
func TestCheckFindsDamage(t *testing.T) {
	for statement, says := range map[string]string{
		"UPDATE meta SET value = '{}' WHERE key = 'counts'": "counts",
		"DELETE FROM tasks":                      "label",
		"DELETE FROM label_names":                "has no name",
		"DELETE FROM blobs":                      "misses its parts",
		"INSERT INTO blobs VALUES(4, x'00')":     "belongs to no task",
		"DELETE FROM sorts":                      "sort",
		"UPDATE tasks SET spec = 'x'":            "task",
		"UPDATE tasks SET seq = 5":               "is in row 5",
		"INSERT INTO journal VALUES(1, x'0102')": "journal row 1",
	} {
		path := newPath(t)
		s := open(t, sqlitestore.Config{Path: path})
		task := aTask(t)
		task.Spec.Labels, task.Spec.Input = map[string]string{"a": "b"}, make([]byte, 300<<10)
		create(t, s, task)
		closeStore(t, s)
		checked(t, path)
		sql(t, path, statement)
		problems, err := sqlitestore.Check(t.Context(), path)
		if err != nil || !strings.Contains(strings.Join(problems, "\n"), says) {
			t.Errorf("%s: %q, %v; want %q", statement, problems, err, says)
		}
	}

	path := newPath(t)
	s := open(t, sqlitestore.Config{Path: path})
	create(t, s, aTask(t))
	closeStore(t, s)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := int64(4096); at < 30*4096; at += 4096 {
		if _, err := f.WriteAt([]byte{0xff, 0xff, 0xff}, at+5); err != nil {
			t.Fatal(err)
		}
	}
	if problems, err := sqlitestore.Check(t.Context(), path); err == nil && len(problems) == 0 {
		t.Error("overwritten pages go by")
	}
}

// TestRetryTakesTheKeyAgain has a task that runs again hold its unique key, unless another has it by then.
func TestRetryTakesTheKeyAgain(t *testing.T) {
	s := open(t, sqlitestore.Config{Path: newPath(t)})
	keyed := func() manager.Task {
		task := aTask(t)
		task.Spec.Unique.Key = "k"
		return task
	}
	create(t, s, keyed())
	first, l := begin(t, s)
	first = complete(t, s, first, l)
	again := first
	again.Status, again.FinishedAt = manager.StatusPending, time.Time{}

	second := create(t, s, keyed())[0]
	_, err := s.Save(t.Context(), again, manager.Lease{})
	if e, ok := errors.AsType[*abi.Error](err); !ok || e.Code != abi.CodeConflict || e.Task != second.ID {
		t.Fatalf("the key is held, and the retry gave %v", err)
	}
	task, l := begin(t, s)
	complete(t, s, task, l)
	if _, err := s.Save(t.Context(), again, manager.Lease{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), []manager.Task{keyed()}, manager.CreateOptions{}); abi.CodeOf(err) != abi.CodeConflict {
		t.Errorf("the key is held again, and a create gave %v", err)
	}
}
