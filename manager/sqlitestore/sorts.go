package sqlitestore

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/manager"
)

// sortOf is what many tasks have in common: name, kind, queue and plugins. Lists filter by it.
type sortOf struct {
	number  int64
	name    string
	kind    string
	queue   string
	plugins []string
	// distinct are the plugins, each once.
	distinct []string
}

// sortTable has all sorts in memory. The writer adds to it, lists read it.
type sortTable struct {
	mu    sync.RWMutex
	byKey map[string]*sortOf
	last  int64
	fresh []string // keys that the open transaction made, or committed ones since the last failure; see forget

	key []byte // of the writer
}

func newSortTable() *sortTable { return &sortTable{byKey: make(map[string]*sortOf)} }

// appendKey names the sort of a spec.
func appendSortKey(b []byte, s *manager.Spec) []byte {
	b = append(append(b, s.Name...), 0)
	b = append(append(b, s.Kind...), 0)
	b = append(append(b, s.Queue...), 0)
	for i := range s.Steps {
		b = append(append(b, s.Steps[i].Plugin...), 0)
	}
	return b
}

// load reads the table.
func (t *sortTable) load(c *sqlite3.Conn) error {
	st, _, err := c.Prepare("SELECT sort, name, kind, queue, plugins FROM sorts")
	if err != nil {
		return err
	}
	defer st.Close()
	for st.Step() {
		s := &sortOf{number: st.ColumnInt64(0), name: st.ColumnText(1), kind: st.ColumnText(2), queue: st.ColumnText(3)}
		if err := json.Unmarshal(st.ColumnRawText(4), &s.plugins); err != nil {
			return err
		}
		t.add(s)
	}
	return st.Err()
}

func (t *sortTable) add(s *sortOf) {
	spec := manager.Spec{Name: s.name, Kind: manager.Kind(s.kind), Queue: s.queue}
	for _, p := range s.plugins {
		spec.Steps = append(spec.Steps, manager.Step{Plugin: p})
	}
	s.distinct = pluginsOf(&spec)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byKey[string(appendSortKey(nil, &spec))] = s
	t.last = max(t.last, s.number)
}

// number finds the sort of a spec, or makes it.
func (t *sortTable) number(w *writer, spec *manager.Spec) (int64, error) {
	t.key = appendSortKey(t.key[:0], spec)
	if s := t.byKey[string(t.key)]; s != nil { // nobody else writes
		return s.number, nil
	}
	s := &sortOf{number: t.last + 1, name: spec.Name, kind: string(spec.Kind), queue: spec.Queue, plugins: make([]string, 0, len(spec.Steps))}
	for i := range spec.Steps {
		s.plugins = append(s.plugins, spec.Steps[i].Plugin)
	}
	plugins, err := json.Marshal(s.plugins)
	if err != nil {
		return 0, err
	}
	if err := exec(w.st.insertSort, s.number, s.name, s.kind, s.queue, string(plugins)); err != nil {
		return 0, err
	}
	t.fresh = append(t.fresh, string(t.key))
	t.add(s)
	return s.number, nil
}

// keep says that the transaction was committed, forget that it was not.
func (t *sortTable) keep() { t.fresh = t.fresh[:0] }

func (t *sortTable) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range t.fresh {
		delete(t.byKey, key)
	}
	t.fresh = t.fresh[:0]
}

// each calls do with every sort.
func (t *sortTable) each(do func(s *sortOf)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, s := range t.byKey {
		do(s)
	}
}

// matching are the numbers of the sorts that a filter selects; all is true when it selects by none of it.
func (t *sortTable) matching(f *manager.Filter) (numbers []int64, all bool) {
	all = f.Name == "" && f.Kind == "" && f.Queue == "" && f.Plugin == ""
	t.each(func(s *sortOf) {
		if s.matches(f) {
			numbers = append(numbers, s.number)
		}
	})
	return numbers, all
}

func (s *sortOf) matches(f *manager.Filter) bool {
	if (f.Name != "" && f.Name != s.name) || (f.Kind != "" && string(f.Kind) != s.kind) || (f.Queue != "" && f.Queue != s.queue) {
		return false
	}
	return f.Plugin == "" || slices.Contains(s.plugins, f.Plugin)
}
