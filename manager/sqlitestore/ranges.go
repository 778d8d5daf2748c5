package sqlitestore

import "container/heap"

// rangeSource merges ranges of the index by sort and status.
type rangeSource struct {
	r     *reading
	from  int64
	chunk int
	heap  rangeHeap
	first bool
	all   []*seqRange
}

// seqRange is the tasks of one sort and one status, newest first.
type seqRange struct {
	sort, status int64
	to           int64
	buf          []int64 // read already
}

const rangeQuery = "SELECT seq FROM tasks WHERE sort = ? AND status = ? AND seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?"

func newRangeSource(r *reading, l *listing) *rangeSource {
	statuses := l.statuses
	if len(statuses) == 0 {
		for s := range numStatuses {
			statuses = append(statuses, s)
		}
	}
	o := &rangeSource{r: r, from: l.from, first: true}
	for _, sort := range l.sorts {
		for _, stat := range statuses {
			o.all = append(o.all, &seqRange{sort: sort, status: int64(stat), to: l.to})
		}
	}
	o.chunk = max(4, 2*l.limit/max(1, len(o.all)))
	return o
}

// fill reads more of a range; false: there is no more.
func (o *rangeSource) fill(g *seqRange) (bool, error) {
	var err error
	g.buf, err = seqsBelow(o.r, rangeQuery, g.buf[:0], g.sort, g.status, o.from, g.to, int64(o.chunk))
	if err != nil || len(g.buf) == 0 {
		return false, err
	}
	g.to = g.buf[len(g.buf)-1]
	return true, nil
}

func (o *rangeSource) next(n int) ([]int64, error) {
	if o.first {
		o.first = false
		for _, g := range o.all {
			if ok, err := o.fill(g); err != nil {
				return nil, err
			} else if ok {
				o.heap = append(o.heap, g)
			}
		}
		heap.Init(&o.heap)
	}
	var seqs []int64
	for len(seqs) < n && len(o.heap) > 0 {
		g := o.heap[0]
		seqs = append(seqs, g.buf[0])
		if g.buf = g.buf[1:]; len(g.buf) == 0 {
			ok, err := o.fill(g)
			if err != nil {
				return nil, err
			}
			if !ok {
				heap.Pop(&o.heap)
				continue
			}
		}
		heap.Fix(&o.heap, 0)
	}
	return seqs, nil
}

// rangeHeap has the range with the newest task first.
type rangeHeap []*seqRange

func (h rangeHeap) Len() int           { return len(h) }
func (h rangeHeap) Less(i, j int) bool { return h[i].buf[0] > h[j].buf[0] }
func (h rangeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rangeHeap) Push(x any)        { *h = append(*h, x.(*seqRange)) }
func (h *rangeHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
