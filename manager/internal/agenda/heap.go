package agenda

import "slices"

// heap is a 4-ary min-heap of entries by a key, and by Seq among equals. Entries that left are not searched for: they are known by
// their state when they come up, and cleared out when they are many.
type heap[P any] struct {
	items []item[P]
	stale int
	state state // of entries that belong here
}

type item[P any] struct {
	key int64
	e   *Entry[P]
}

func (i item[P]) less(j item[P]) bool {
	return i.key < j.key || (i.key == j.key && i.e.Seq < j.e.Seq)
}

// inState tells whether an item still belongs where it is: an entry may have left and come again with another key.
func inState[P any](h *heap[P], i item[P]) bool {
	if i.e.state != h.state {
		return false
	}
	switch h.state {
	case delayed:
		return i.key == i.e.due
	case ready, parked:
		return i.key == i.e.rank
	}
	return true
}

// expires tells so for the heap of expiries.
func expires[P any](_ *heap[P], i item[P]) bool {
	return i.e.state != gone && i.e.extra != nil && i.e.extra.expires == i.key
}

func (h *heap[P]) empty() bool { return len(h.items) == 0 }

func (h *heap[P]) push(key int64, e *Entry[P]) {
	h.items = append(h.items, item[P]{key, e})
	at := len(h.items) - 1
	it := h.items[at]
	for at > 0 {
		up := (at - 1) / 4
		if !it.less(h.items[up]) {
			break
		}
		h.items[at] = h.items[up]
		at = up
	}
	h.items[at] = it
}

func (h *heap[P]) pop() item[P] {
	top := h.items[0]
	n := len(h.items) - 1
	last := h.items[n]
	h.items[n] = item[P]{}
	h.items = h.items[:n]
	if n > 0 {
		h.sink(0, last)
	} else if cap(h.items) > 1024 {
		h.items = nil
	}
	return top
}

// sink puts it at a place or below.
func (h *heap[P]) sink(at int, it item[P]) {
	n := len(h.items)
	for {
		first := 4*at + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if h.items[c].less(h.items[least]) {
				least = c
			}
		}
		if !h.items[least].less(it) {
			break
		}
		h.items[at] = h.items[least]
		at = least
	}
	h.items[at] = it
}

// first clears what is stale off the top, and returns what is there then; nil: nothing.
func (h *heap[P]) first(valid func(*heap[P], item[P]) bool) *item[P] {
	for len(h.items) > 0 {
		if valid(h, h.items[0]) {
			return &h.items[0]
		}
		h.pop()
		h.stale = max(0, h.stale-1)
	}
	h.stale = 0
	return nil
}

// drop says that one item became stale.
func (h *heap[P]) drop(valid func(*heap[P], item[P]) bool) {
	if h.stale++; h.stale < 64 || h.stale < len(h.items)/2 {
		return
	}
	h.stale = 0
	h.items = slices.DeleteFunc(h.items, func(i item[P]) bool { return !valid(h, i) })
	h.items = slices.Clip(slices.Clone(h.items))
	for at := (len(h.items) - 2) / 4; at >= 0 && len(h.items) > 1; at-- {
		h.sink(at, h.items[at])
	}
}
