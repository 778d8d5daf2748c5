package host

import "sync"

// holds are locks by names. The zero value has none.
type holds struct {
	mu sync.Mutex
	of map[string]*hold
}

type hold struct {
	sync.Mutex
	users int // who hold it or wait for it
}

// lock waits for the lock of a name, and returns what gives it back.
func (s *holds) lock(name string) (unlock func()) {
	s.mu.Lock()
	h := s.of[name]
	if h == nil {
		if s.of == nil {
			s.of = map[string]*hold{}
		}
		h = &hold{}
		s.of[name] = h
	}
	h.users++
	s.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		s.mu.Lock()
		if h.users--; h.users == 0 {
			delete(s.of, name)
		}
		s.mu.Unlock()
	}
}

// Hold keeps the files of a plugin in Config.Dir from being loaded until release is called; a load of them that has begun is waited for.
// It is for who changes the files and calls [Host.Swap] or [Host.Rollback] with the same version: without it a load of the files as they
// were before could end last, and make the version before current for a moment. release must be called once. Swap and Rollback themselves
// do not wait for it.
func (h *Host) Hold(name string) (release func()) { return h.holds.lock(name) }
