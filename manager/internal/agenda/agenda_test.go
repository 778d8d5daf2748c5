package agenda

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHeap pushes, pops and drops at random, and compares with a sorted list.
func TestHeap(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		h := heap[int]{state: urgent}
		var want []item[int]
		for n := range 2000 {
			switch rnd.IntN(5) {
			case 0, 1, 2:
				it := item[int]{int64(rnd.IntN(100)), &Entry[int]{Seq: uint64(n), state: urgent}}
				h.push(it.key, it.e)
				want = append(want, it)
			case 3:
				if len(want) > 0 {
					i := rnd.IntN(len(want))
					want[i].e.state = gone
					want = slices.Delete(want, i, i+1)
					h.drop(inState[int])
				}
			default:
				slices.SortFunc(want, func(a, b item[int]) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.e.Seq, b.e.Seq)) })
				got := h.first(inState[int])
				if (got == nil) != (len(want) == 0) || (got != nil && got.e != want[0].e) {
					t.Fatalf("seed %d, operation %d: the first is %+v", seed, n, got)
				}
				if got != nil {
					h.pop()
					want = want[1:]
				}
			}
		}
		if len(h.items) > 2*len(want)+200 {
			t.Errorf("seed %d: %d items are kept for %d entries", seed, len(h.items), len(want))
		}
	}
}

// claimNow claims what can be claimed at this moment.
func claimNow(a *Agenda[string]) (got []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	for {
		err := a.Claim(ctx, 1000*time.Hour, func(e *Entry[string], _ uint64, _ time.Time) { got = append(got, e.Payload) })
		if err != nil {
			return got
		}
	}
}

func add(a *Agenda[string], name string, seq uint64, p Place) *Entry[string] {
	e := &Entry[string]{Payload: name, Seq: seq}
	p.Since = time.Now().UnixNano()
	a.Lock()
	defer a.Unlock()
	a.Add(e, p)
	return e
}

// TestRate lets as many through at once as the rate says, and then one for each part of its time, and does not save up more.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New[string](time.Minute)
		a.Lock()
		a.SetPlugin("p", Limit{Tasks: 3, Per: 30 * time.Second})
		a.Unlock()
		for n := range uint64(20) {
			add(a, fmt.Sprint(n), n, Place{Queue: "q", Plugins: []string{"p"}})
		}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 3}, {9 * time.Second, 0}, {2 * time.Second, 1}, {10 * time.Second, 1}, {time.Hour, 3}, {20 * time.Second, 2}} {
			time.Sleep(step.wait) // of the fake clock
			if got := claimNow(a); len(got) != step.want {
				t.Errorf("after %v: claimed %v, want %d", step.wait, got, step.want)
			}
		}
	})
}

// TestForgets checks that nothing is left of tasks that have ended: groups, lines, keys, dependencies.
func TestForgets(t *testing.T) { synctest.Test(t, forgets) }

func forgets(t *testing.T) {
	a := New[string](time.Minute)
	first := add(a, "first", 1, Place{Queue: "q", Plugins: []string{"p", "r"}, Agent: "a/1", Key: "k"})
	a.Lock()
	a.Hold("k", "first", 1, 0, true)
	a.Unlock()
	second := add(a, "second", 2, Place{Queue: "q", Plugins: []string{"p"}, Agent: "a/1", After: []uint64{1}, Waits: []uint64{1}, Expires: time.Now().Add(time.Hour).UnixNano()})
	if got := claimNow(a); !slices.Equal(got, []string{"first"}) {
		t.Fatalf("claimed %v", got)
	}
	a.Lock()
	a.Finish(first)
	a.Unlock()
	if got := claimNow(a); !slices.Equal(got, []string{"second"}) {
		t.Fatalf("claimed %v", got)
	}
	a.Lock()
	defer a.Unlock()
	a.Finish(second)
	if n := len(a.queues) + len(a.plugins) + len(a.sorts) + len(a.lines) + len(a.dependents) + len(a.needed) + len(a.keys.held) + len(a.busy); n != 0 {
		t.Errorf("left: %+v", a)
	}
	if _, held := a.Holder("k"); held {
		t.Error("the key is held")
	}
}

// TestComesAgain has a task leave its queue without being claimed, end, and come again: it is placed anew, not where it was.
func TestComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New[string](time.Minute)
		add(a, "later", 9, Place{Queue: "q", Due: time.Now().Add(time.Hour).UnixNano()}) // so that the queue stays
		again := add(a, "again", 1, Place{Queue: "q"})
		a.Lock()
		a.Finish(again) // cancelled
		a.Unlock()
		time.Sleep(time.Second) // of the fake clock
		add(a, "between", 2, Place{Queue: "q"})
		time.Sleep(time.Second)
		a.Lock()
		a.Add(again, Place{Queue: "q", Since: time.Now().UnixNano()})
		a.Unlock()
		if got := claimNow(a); !slices.Equal(got, []string{"between", "again"}) {
			t.Errorf("claimed %v", got)
		}
	})
}
