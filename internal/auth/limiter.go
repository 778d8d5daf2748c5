package auth

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// What an address may fail, before it has to wait.
const (
	failBurst    = 10              // failures in a row
	failEvery    = 6 * time.Second // one more is forgiven each
	maxAddresses = 4096            // that are remembered; the one not seen for longest goes first
	maxKnown     = 8               // tokens that an address is known for
)

// limiter counts failed attempts by address. An address that failed too often has to wait, whatever it shows then, so that guesses are
// few; but a token that was right at the address before stays right, so that one broken client does not lock out the others behind the
// same proxy. It is safe for concurrent use.
type limiter struct {
	mu     sync.Mutex
	places map[netip.Addr]*list.Element // of *place
	recent list.List                    // the one seen last first
}

// place is what is known of an address.
type place struct {
	addr   netip.Addr
	failed float64 // attempts, as far as they are not forgiven
	at     time.Time
	known  []string // ids of tokens that were right here
}

func newLimiter() *limiter { return &limiter{places: map[netip.Addr]*list.Element{}} }

// network is the part of an address that its owner cannot choose: a customer of an IPv6 provider has a /64 at least.
func network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// attempt takes an attempt from an address that showed the token id, or none that is right. A zero wait means that the attempt counts as
// what it is; otherwise it is refused, and the address may try again after that time.
func (l *limiter) attempt(addr netip.Addr, id string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.place(network(addr), now)
	if id != "" && slices.Contains(p.known, id) {
		return 0
	}
	if p.failed > failBurst-1 {
		return time.Duration((p.failed-(failBurst-1))*float64(failEvery)).Round(time.Second) + time.Second
	}
	if id == "" {
		p.failed++
		return 0
	}
	if len(p.known) == maxKnown {
		p.known = slices.Delete(p.known, 0, 1)
	}
	p.known = append(p.known, id)
	return 0
}

// place finds what is known of an address, or begins anew.
func (l *limiter) place(addr netip.Addr, now time.Time) *place {
	if e := l.places[addr]; e != nil {
		l.recent.MoveToFront(e)
		p := e.Value.(*place)
		p.failed = max(0, p.failed-now.Sub(p.at).Seconds()/failEvery.Seconds())
		p.at = now
		return p
	}
	if l.recent.Len() >= maxAddresses {
		last := l.recent.Back()
		delete(l.places, last.Value.(*place).addr)
		l.recent.Remove(last)
	}
	p := &place{addr: addr, at: now}
	l.places[addr] = l.recent.PushFront(p)
	return p
}
