package manager

// recordList is a doubly linked list of records.
type recordList struct{ first, last *record }

func (l *recordList) append(r *record) { l.insertAfter(r, l.last) }

// insert puts r where its expiry belongs, which is at or near the end.
func (l *recordList) insert(r *record) {
	at := l.last
	for at != nil && at.expires.After(r.expires) {
		at = at.prev
	}
	l.insertAfter(r, at)
}

// insertAfter puts r after at; nil: at the front.
func (l *recordList) insertAfter(r, at *record) {
	r.list, r.prev = l, at
	if at == nil {
		r.next, l.first = l.first, r
	} else {
		r.next, at.next = at.next, r
	}
	if r.next == nil {
		l.last = r
	} else {
		r.next.prev = r
	}
}

func (l *recordList) remove(r *record) {
	if r.prev == nil {
		l.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		l.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.list, r.prev, r.next = nil, nil, nil
}

// delayHeap is a heap of pending records by Task.RunAt.
type delayHeap []*record

func (h delayHeap) Len() int           { return len(h) }
func (h delayHeap) Less(i, j int) bool { return h[i].task.RunAt.Before(h[j].task.RunAt) }
func (h delayHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (h *delayHeap) Push(x any) {
	r := x.(*record)
	r.heapIndex = len(*h)
	*h = append(*h, r)
}

func (h *delayHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	r.heapIndex = -1
	return r
}
