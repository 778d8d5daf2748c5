//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
	"github.com/taskhost/taskhost/manager/sqlitestore"
)

// TestChaos kills taskhost with SIGKILL while it works, again and again, each time at another moment, and checks at the end what
// docs/durable-tasks.md promises. CHAOS_KILLS is how often; make chaos has more.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := newChaos(t)
	kills := 50
	if n, err := strconv.Atoi(os.Getenv("CHAOS_KILLS")); err == nil {
		kills = n
	}
	c.taskhost("cron", "add", "--data", c.data, "tick", "@every 1s", "--", "echo")
	began := time.Now()
	for n := range kills {
		c.life()
		if n%10 == 9 {
			c.lookAtEnded()
		}
	}
	c.taskhost("cron", "rm", "--data", c.data, "tick")
	c.taskhost("work", "--data", c.data, "-p", c.plugins, "--until-empty")
	if problems := c.taskhost("db", "check", "--data", c.data); strings.Contains(problems, "problem") {
		t.Error(problems)
	}
	c.verify(time.Since(began))
	t.Logf("%d kills, %d tasks acknowledged in %v", kills, len(c.acked), time.Since(began).Round(time.Second))
}

// chaos is the state of the test: what was acknowledged, and what has been seen to have ended.
type chaos struct {
	t             *testing.T
	program       string // without the race detector, so that it is killed in the midst of more
	env           []string
	data, plugins string

	mu    sync.Mutex
	next  int              // numbers the tasks
	acked map[string]wish  // by id
	ended map[string]ended // by id
	used  map[string]string
}

// wish is what was asked for.
type wish struct {
	kind    string // echo, agent, unique
	content string
	agent   string
}

// ended is a task that has been seen to have ended: it must stay so.
type ended struct {
	status   manager.Status
	attempt  int
	finished time.Time
}

func newChaos(t *testing.T) *chaos {
	c := &chaos{
		t: t, env: append(os.Environ(), scriptEnv(t)...), data: filepath.Join(t.TempDir(), "data"), plugins: t.TempDir(),
		acked: map[string]wish{}, ended: map[string]ended{}, used: map[string]string{},
	}
	c.program = filepath.Join(t.TempDir(), "taskhost")
	if err := buildPlain(c.program); err != nil {
		t.Fatal(err)
	}
	build := filepath.Join(repository(t), "build")
	for _, file := range []string{"testdata/guests/echo.wasm", "testdata/guests/vars.wasm"} {
		content, err := os.ReadFile(filepath.Join(build, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(c.plugins, filepath.Base(file)), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// taskhost runs a command that must succeed.
func (c *chaos) taskhost(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(c.program, args...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("taskhost %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// life is one taskhost from its start to its kill.
func (c *chaos) life() {
	cmd := exec.Command(c.program, "work", "--data", c.data, "-p", c.plugins, "-j", "4", "--submit", "--json", "--progress", "none")
	cmd.Env = c.env
	stdin, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	sent := make(chan wish, 1000)
	answered := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() { c.feed(stdin, sent) })
	wg.Go(func() { c.listen(stdout, sent, answered) })
	if !<-answered {
		c.t.Errorf("taskhost ended by itself: %s", stderr.String())
	}
	moment := time.NewTimer(rand.N(120 * time.Millisecond))
	<-moment.C // the moment is what the test is about
	_ = cmd.Process.Kill()
	err = cmd.Wait()
	wg.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		c.t.Errorf("taskhost ended by itself: %v\n%s", err, stderr.String())
	}
}

// feed writes tasks, until nobody reads them.
func (c *chaos) feed(w io.WriteCloser, sent chan<- wish) {
	defer close(sent)
	defer w.Close()
	for {
		spec, want := c.draw()
		line, err := json.Marshal(spec)
		if err != nil {
			c.t.Error(err)
			return
		}
		select {
		case sent <- want:
		default: // 1,000 are not answered: wait until one is
			sent <- want
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return
		}
	}
}

// draw makes a task.
func (c *chaos) draw() (manager.Spec, wish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	content := fmt.Sprint("content ", c.next)
	spec := manager.ProcessorTask(content, "echo")
	switch rand.N(8) {
	case 0, 1:
		agent := fmt.Sprint(rand.N(3))
		spec = manager.AgentTask("vars/"+agent, "count", nil)
		return spec, wish{kind: "agent", agent: "vars/" + agent}
	case 2:
		spec = manager.ProcessorTask(content, slices.Repeat([]string{"echo"}, 40)...)
	case 3:
		spec.RunAt = time.Now().Add(rand.N(50 * time.Millisecond))
		spec.Priority = rand.N(5) - 2
	case 4:
		for id, w := range c.acked { // any
			if w.kind == "echo" {
				spec = manager.ProcessorTask("", "echo")
				spec.After, spec.Collect = []string{id}, true
				return spec, wish{kind: "echo", content: w.content}
			}
		}
	case 5:
		key := fmt.Sprint("key ", c.next/10)
		spec.Unique = manager.Unique{Key: key, Window: time.Hour}
		return spec, wish{kind: "unique", content: key}
	}
	return spec, wish{kind: "echo", content: content}
}

// listen notes what is acknowledged; the lines come in the order of the tasks. It says once whether there was an answer at all.
func (c *chaos) listen(r io.Reader, sent <-chan wish, answered chan<- bool) {
	once := sync.OnceFunc(func() { answered <- true })
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var line lineJSON
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue // killed while it wrote
		}
		c.note(<-sent, line)
		once()
	}
	for range sent { // until feed has ended
	}
	select {
	case answered <- false:
	default:
	}
}

func (c *chaos) note(w wish, line lineJSON) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case line.Error == nil && line.ID != "":
		if _, twice := c.acked[line.ID]; twice {
			c.t.Errorf("two tasks have the id %s", line.ID)
		}
		c.acked[line.ID] = w
		if w.kind == "unique" {
			if other := c.used[w.content]; other != "" {
				c.t.Errorf("the unique key %q let %s and %s in", w.content, other, line.ID)
			}
			c.used[w.content] = line.ID
		}
	case line.Error != nil && (w.kind != "unique" || line.Error.Code != abi.CodeConflict):
		c.t.Errorf("a task was refused: %v", line.Error)
	}
}

// lookAtEnded notes which tasks have ended, and checks those that had before.
func (c *chaos) lookAtEnded() {
	c.eachTask(func(task *manager.Task) {
		now := ended{task.Status, task.Attempt, task.FinishedAt}
		if before, ok := c.ended[task.ID]; ok && before != now {
			c.t.Errorf("task %s had ended as %+v, and is %+v", task.ID, before, now)
		}
		if task.Status.Final() {
			c.ended[task.ID] = now
		}
	})
}

// eachTask opens the store that nobody uses now, and calls f with every task.
func (c *chaos) eachTask(f func(*manager.Task)) *sqlitestore.Store {
	s, err := sqlitestore.Open(c.t.Context(), sqlitestore.Config{Path: filepath.Join(c.data, dataFile)})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close(c.t.Context())
	filter := manager.Filter{Limit: manager.MaxPage}
	for {
		page, err := s.List(c.t.Context(), filter)
		if err != nil {
			c.t.Fatal(err)
		}
		for i := range page.Tasks {
			f(&page.Tasks[i])
		}
		if filter.Cursor = page.Next; filter.Cursor == "" {
			return s
		}
	}
}

// verify checks the promises once everything has been worked off.
func (c *chaos) verify(took time.Duration) {
	c.lookAtEnded()
	found := map[string]manager.Task{}
	c.eachTask(func(task *manager.Task) {
		if _, twice := found[task.ID]; twice {
			c.t.Errorf("task %s is there twice", task.ID)
		}
		found[task.ID] = *task
	})
	s, err := sqlitestore.Open(c.t.Context(), sqlitestore.Config{Path: filepath.Join(c.data, dataFile)})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close(c.t.Context())
	for id, w := range c.acked {
		if _, ok := found[id]; !ok {
			c.t.Errorf("task %s (%+v) was acknowledged, and is lost", id, w)
			continue
		}
		task, err := s.Get(c.t.Context(), id)
		if err != nil {
			c.t.Fatal(err)
		}
		c.verifyTask(&task, w)
	}
	c.verifyAgents(s, found)
	c.verifyTicks(found, took)
}

func (c *chaos) verifyTask(task *manager.Task, w wish) {
	switch {
	case task.Status == manager.StatusFailed && task.Error.Code == abi.CodeCrashed && task.Crashes == manager.MaxCrashes:
		c.t.Logf("task %s (%+v) ran while the host was killed three times in a row", task.ID, w)
	case task.Status == manager.StatusFailed && task.Error.Code == abi.CodeDependency && strings.Contains(task.Error.Message, "the host went down"):
		return // it waited for one of those
	case task.Status != manager.StatusCompleted:
		c.t.Errorf("task %s (%+v) is %s: %v", task.ID, w, task.Status, task.Err())
	case w.kind == "echo" && string(task.Output) != w.content:
		c.t.Errorf("task %s has the output %q, want %q", task.ID, task.Output, w.content)
	}
	last := task.Attempts[len(task.Attempts)-1]
	if last.Number != task.Attempt || (last.Error == nil) != (task.Status == manager.StatusCompleted) {
		c.t.Errorf("task %s has %d attempts, and the last one that is kept is %+v", task.ID, task.Attempt, last)
	}
}

// verifyAgents checks that each agent has counted its completed tasks: what it remembers and what has completed agree.
func (c *chaos) verifyAgents(s *sqlitestore.Store, found map[string]manager.Task) {
	counted := map[string][]int{}
	for id := range found {
		task, err := s.Get(c.t.Context(), id)
		if err != nil {
			c.t.Fatal(err)
		}
		if agent := task.Spec.Agent(); agent != "" && task.Status == manager.StatusCompleted {
			n, err := strconv.Atoi(string(task.Output))
			if err != nil {
				c.t.Errorf("task %s of %s: %v", id, agent, err)
			}
			counted[agent] = append(counted[agent], n)
		}
	}
	for agent, got := range counted {
		slices.Sort(got)
		for i, n := range got {
			if n != i+1 {
				c.t.Errorf("the completed tasks of %s counted %v", agent, got)
				break
			}
		}
		rec, err := s.Record(c.t.Context(), "memory", agent)
		var vars map[string][]byte
		if err == nil {
			err = json.Unmarshal(rec.Data, &vars)
		}
		if n := string(vars["n"]); err != nil || n != strconv.Itoa(len(got)) {
			c.t.Errorf("%s has completed %d tasks, and remembers %q (%v)", agent, len(got), n, err)
		}
	}
}

// verifyTicks checks that the schedule has fired at most once for each of its times.
func (c *chaos) verifyTicks(found map[string]manager.Task, took time.Duration) {
	seen := map[int64]string{}
	for id, task := range found {
		if task.Spec.Labels[manager.LabelSchedule] == "" {
			continue
		}
		at := task.Spec.RunAt
		if other := seen[at.UnixNano()]; other != "" || at.IsZero() {
			c.t.Errorf("the schedule fired twice for %v: %s and %s", at, other, id)
		}
		seen[at.UnixNano()] = id
	}
	if most := int(took/time.Second) + 2; len(seen) == 0 || len(seen) > most {
		c.t.Errorf("the schedule fired %d times in %v", len(seen), took)
	}
}
