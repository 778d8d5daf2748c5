package agenda

// Key is a unique key that is held: until the task that took it is final, and until Until.
type Key struct {
	ID    string // of the task
	Seq   uint64
	Until int64
	live  bool
}

// keys are those that are held.
type keys struct {
	held    map[string]*Key
	windows []window // keys whose Until is in the future, in no order: a heap by Until
}

type window struct {
	until int64
	key   string
}

// Holder is the task that holds a key; false: nobody does.
func (a *Agenda[P]) Holder(key string) (Key, bool) {
	a.keys.purge(now())
	k := a.keys.held[key]
	if k == nil {
		return Key{}, false
	}
	return *k, true
}

// Hold takes a key for a task; live says that the task is not final. An until of 0 is no window.
func (a *Agenda[P]) Hold(key, id string, seq uint64, until int64, live bool) {
	if until != 0 {
		a.keys.addWindow(window{until, key})
	}
	a.keys.held[key] = &Key{ID: id, Seq: seq, Until: until, live: live}
}

// Unhold gives a key back that was taken for a task which did not come to be.
func (a *Agenda[P]) Unhold(key string, seq uint64) {
	if h := a.keys.held[key]; h != nil && h.Seq == seq {
		delete(a.keys.held, key)
	}
}

// Release says that the task which holds a key is final after all.
func (a *Agenda[P]) Release(key string, seq uint64) { a.keys.release(key, seq) }

// release says that the task which holds a key is final.
func (k *keys) release(key string, seq uint64) {
	h := k.held[key]
	if h == nil || h.Seq != seq {
		return
	}
	if h.live = false; h.Until <= now() {
		delete(k.held, key)
	}
}

// purge forgets keys whose window is over.
func (k *keys) purge(now int64) {
	for len(k.windows) > 0 && k.windows[0].until <= now {
		w := k.windows[0]
		n := len(k.windows) - 1
		k.windows[0] = k.windows[n]
		k.windows[n] = window{}
		k.windows = k.windows[:n]
		k.sink()
		if h := k.held[w.key]; h != nil && !h.live && h.Until <= now {
			delete(k.held, w.key)
		}
	}
}

func (k *keys) addWindow(w window) {
	k.windows = append(k.windows, w)
	for at := len(k.windows) - 1; at > 0; {
		up := (at - 1) / 2
		if k.windows[up].until <= k.windows[at].until {
			return
		}
		k.windows[up], k.windows[at] = k.windows[at], k.windows[up]
		at = up
	}
}

func (k *keys) sink() {
	for at := 0; ; {
		c := 2*at + 1
		if c >= len(k.windows) {
			return
		}
		if c+1 < len(k.windows) && k.windows[c+1].until < k.windows[c].until {
			c++
		}
		if k.windows[at].until <= k.windows[c].until {
			return
		}
		k.windows[at], k.windows[c] = k.windows[c], k.windows[at]
		at = c
	}
}
