package manager

import "time"

// now is the time as tasks and events have it: UTC.
func now() time.Time { return time.Now().UTC() }

// listens reports whether anybody hears of events.
func (m *Manager) listens() bool { return m.cfg.OnEvent != nil || m.subs.open.Load() > 0 }

// emit tells of a change.
func (m *Manager) emit(kind EventKind, t *Task) {
	if m.listens() {
		m.tell(Event{Kind: kind, Time: now(), Task: *t})
	}
}

// emitError tells that the store failed.
func (m *Manager) emitError(t Task, err error) {
	if m.listens() {
		m.tell(Event{Kind: EventError, Time: now(), Task: t, Error: err})
	}
}

func (m *Manager) tell(e Event) {
	m.callback(e)
	m.subs.send(&e)
}

func (m *Manager) callback(e Event) {
	if m.cfg.OnEvent == nil {
		return
	}
	defer func() { _ = recover() }() // a listener's fault must not stop tasks
	m.cfg.OnEvent(e)
}

// announce does save, which makes a task claimable, and then tells of it, unless the worker that claims the task was faster.
func (m *Manager) announce(kind EventKind, t *Task, save func() error) error {
	if !m.listens() {
		return save()
	}
	m.promise(kind, t.ID)
	if err := save(); err != nil {
		m.unpromise(t.ID)
		return err
	}
	m.tellUntold(t)
	return nil
}

// promise says that there will be something to tell of a task, as soon as anybody can claim it.
func (m *Manager) promise(kind EventKind, id string) {
	s := m.shard(id)
	s.untoldMu.Lock()
	defer s.untoldMu.Unlock()
	s.untold[id] = kind
}

// unpromise says that there is nothing to tell of a task after all.
func (m *Manager) unpromise(id string) {
	s := m.shard(id)
	s.untoldMu.Lock()
	defer s.untoldMu.Unlock()
	delete(s.untold, id)
}

// tellUntold tells what there is still to tell of a task before anything else can be told of it; t is the task as it was stored.
func (m *Manager) tellUntold(t *Task) {
	s := m.shard(t.ID)
	s.untoldMu.Lock()
	defer s.untoldMu.Unlock()
	if kind, ok := s.untold[t.ID]; ok {
		delete(s.untold, t.ID)
		m.tell(Event{Kind: kind, Time: now(), Task: *t})
	}
}
