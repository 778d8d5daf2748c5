package manager

import "sync"

// numShards is how many locks the tasks of this process share; a power of two.
const numShards = 64

// shard is what goes on in this process for some of the task ids.
type shard struct {
	mu    sync.Mutex
	runs  map[string]*run    // attempts in progress
	waits map[string]*waiter // tasks that Result waits for

	// untold holds tasks that a worker can claim already, or soon, though the event that says so has not been told yet. Whoever
	// comes first tells it, so that events are in order for each task. Events are told while untoldMu is held.
	untoldMu sync.Mutex
	untold   map[string]EventKind
}

func (s *shard) init() {
	s.runs = make(map[string]*run)
	s.waits = make(map[string]*waiter)
	s.untold = make(map[string]EventKind)
}

// shard returns the shard of an id: FNV-1a over it.
func (m *Manager) shard(id string) *shard {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return &m.shards[h%numShards]
}

// run returns the attempt of a task that is in progress here, or nil.
func (s *shard) run(id string) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[id]
}

func (s *shard) setRun(id string, r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[id] = r
}

// dropRun forgets r, unless the task has a later attempt here.
func (s *shard) dropRun(id string, r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[id] == r {
		delete(s.runs, id)
	}
}

// eachRun calls f for every attempt in progress, without holding a lock.
func (m *Manager) eachRun(f func(*run)) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		runs := make([]*run, 0, len(s.runs))
		for _, r := range s.runs {
			runs = append(runs, r)
		}
		s.mu.Unlock()
		for _, r := range runs {
			f(r)
		}
	}
}
