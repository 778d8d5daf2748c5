package monitor

import "sync"

// Bounds on label values and series.
const (
	MaxNames       = 256    // task names; queues; plugins; routes
	MaxFunctions   = 32     // functions of one plugin
	MaxGuestSeries = 10_000 // series of all guests together; for one plugin it is abi.MaxMetricSeries
)

// other stands for every name past the bound.
const other = "other"

// names is a bounded set of label values. It is safe for concurrent use.
type names struct {
	max  int
	mu   sync.RWMutex
	seen map[string]struct{}
}

func newNames(max int) *names { return &names{max: max, seen: map[string]struct{}{}} }

// bound returns name if it has a place in the set or gets one, else other.
func (n *names) bound(name string) string {
	n.mu.RLock()
	_, ok := n.seen[name]
	n.mu.RUnlock()
	if ok {
		return name
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.seen[name]; !ok && len(n.seen) >= n.max {
		return other
	}
	n.seen[name] = struct{}{}
	return name
}
