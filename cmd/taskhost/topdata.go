package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// Bounds on what top asks for, whatever there is.
const (
	topRows     = 500                    // running tasks, and failures, that are looked at
	topEvery    = 500 * time.Millisecond // between two looks
	topSlowly   = 2 * time.Second        // between two looks at plugins and history
	topPatience = 10 * time.Second       // with one look
)

// topData is what is known of the server.
type topData struct {
	at       time.Time
	took     time.Duration
	stats    client.Stats
	running  []manager.Task
	failures []manager.Task
	queues   []manager.QueueStatus

	slowAt  time.Time // when what follows was looked at
	plugins []client.Plugin
	history client.History
}

// topLooked is the message that brings new data.
type topLooked struct {
	data topData
	err  error
}

// topTick is the message that it is time for another look.
type topTick struct{}

// look asks the server for everything that is shown.
func (m *top) look() tea.Cmd {
	if m.looking {
		m.again = true
		return nil
	}
	m.looking, m.again = true, false
	f, _ := m.filter()
	data, parent, s := m.data, m.ctx, m.server
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(parent, topPatience)
		defer cancel()
		began := time.Now()
		err := data.look(ctx, s, f)
		data.at, data.took = time.Now(), time.Since(began)
		return topLooked{data, err}
	}
}

// look reads anew what is shown. What cannot be read stays as it was.
func (d *topData) look(ctx context.Context, s *client.Client, f manager.Filter) error {
	var reads reads
	read := reads.add
	read(func() error { return set(&d.stats)(s.Stats(ctx)) })
	read(func() error { return set(&d.queues)(s.Queues(ctx)) })
	read(func() error { return listed(ctx, s, f, manager.StatusRunning, &d.running) })
	read(func() error { return listed(ctx, s, f, manager.StatusFailed, &d.failures) })
	if time.Since(d.slowAt) > topSlowly {
		d.slowAt = time.Now()
		since := time.Now().Add(-10 * time.Minute)
		read(func() error { return set(&d.plugins)(s.Plugins(ctx)) })
		read(func() error { return set(&d.history)(s.History(ctx, since)) })
	}
	return reads.wait()
}

// reads are several at a time.
type reads struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (r *reads) add(f func() error) {
	r.wg.Go(func() {
		if err := f(); err != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.errs = append(r.errs, err)
		}
	})
}

// wait returns one of the errors.
func (r *reads) wait() error {
	r.wg.Wait()
	if len(r.errs) > 0 {
		return r.errs[0]
	}
	return nil
}

// set keeps a value unless there is an error.
func set[T any](to *T) func(T, error) error {
	return func(v T, err error) error {
		if err == nil {
			*to = v
		}
		return err
	}
}

func listed(ctx context.Context, s *client.Client, f manager.Filter, status manager.Status, to *[]manager.Task) error {
	f.Status, f.Limit = []manager.Status{status}, topRows
	page, err := s.List(ctx, f)
	if err == nil {
		*to = page.Tasks
	}
	return err
}

// filter is what selects tasks: the words plugin:NAME, queue:NAME, name:NAME and label:NAME=VALUE do so at the server, others look for themselves in
// what came.
func (m *top) filter() (f manager.Filter, words []string) {
	f = m.base
	for word := range strings.FieldsSeq(m.typed) {
		key, value, ok := strings.Cut(word, ":")
		switch {
		case ok && key == "plugin":
			f.Plugin = value
		case ok && key == "queue":
			f.Queue = value
		case ok && key == "name":
			f.Name = value
		case ok && key == "label" && strings.Contains(value, "="):
			name, text, _ := strings.Cut(value, "=")
			labels := map[string]string{name: text}
			for k, v := range f.Labels {
				if k != name {
					labels[k] = v
				}
			}
			f.Labels = labels
		default:
			words = append(words, strings.ToLower(word))
		}
	}
	return f, words
}

// matching are the tasks that have all words somewhere in what is shown of them.
func matching(tasks []manager.Task, words []string) []manager.Task {
	if len(words) == 0 {
		return tasks
	}
	var found []manager.Task
	for i := range tasks {
		t := &tasks[i]
		text := strings.ToLower(t.ID + " " + t.Spec.Name + " " + t.Spec.Queue + " " + t.Message)
		if t.Error != nil {
			text += strings.ToLower(" " + string(t.Error.Code) + " " + t.Error.Message)
		}
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			found = append(found, *t)
		}
	}
	return found
}

// looked takes new data in, and has the next look come: soon, but not before the server and this program have had four times as long for
// other things as the look took.
func (m *top) looked(msg topLooked) tea.Cmd {
	m.looking = false
	if m.ctx.Err() != nil {
		return nil
	}
	m.data, m.failed = msg.data, msg.err
	if errors.Is(msg.err, context.DeadlineExceeded) {
		m.failed = errors.New("the server does not answer")
	}
	m.settle()
	if m.again {
		return m.look()
	}
	if m.told != "" {
		m.said, m.bad, m.told = m.told, false, ""
	}
	return tea.Tick(max(topEvery, 4*msg.data.took), func(time.Time) tea.Msg { return topTick{} })
}
