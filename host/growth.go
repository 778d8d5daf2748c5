package host

// growth notices an instance whose memory grows in call after call, as that of a guest does that keeps what it allocates. A cache that
// fills up, a garbage collector that finds its pace and inputs that get larger are no such growth: they come to an end, are soon over, or
// have a reason.
type growth struct {
	calls int    // so far
	input int    // the largest, in bytes
	pages uint32 // the most
	base  uint32 // the pages from which on growth is counted
	since int    // calls since then
	times int    // calls of these that made it larger
	half  int    // the number of the one that came half as far as is suspicious
}

const (
	warmUp    = 4              // calls whose growth counts for nothing
	allowance = 16 << 20 >> 16 // pages that every instance may grow by, besides to twice the size
	fewTimes  = 8              // a plugin that grew in fewer calls grew for a reason
)

// leaks takes note of a call that ended with so much memory and had so large an input. It tells whether the growth is suspicious: the
// memory has more than doubled, and the second half of that came as fast as the first.
func (g *growth) leaks(pages uint32, input int) bool {
	g.calls++
	g.since++
	larger := input > g.input
	if larger {
		g.input = input
	}
	if pages <= g.pages {
		return false
	}
	by := pages - g.pages
	g.pages = pages
	if g.calls <= warmUp {
		g.base, g.since = pages, 0
		return false
	}
	if larger {
		g.base += by
		return false
	}
	g.times++
	grown, most := pages-g.base, g.base+allowance
	if g.half == 0 && grown >= most/2 {
		g.half = g.since
	}
	if grown < most {
		return false
	}
	steady := g.times >= fewTimes && g.since <= 3*g.half
	g.base, g.since, g.times, g.half = pages, 0, 0, 0
	return steady
}
