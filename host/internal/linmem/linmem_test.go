package linmem

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

func systems(t *testing.T) map[string]*System {
	native := NewSystem()
	t.Cleanup(func() { native.Close() })
	return map[string]*System{"native": native, "portable": Portable()}
}

// TestNative keeps the fast way from being lost unseen where it must be there.
func TestNative(t *testing.T) {
	s := NewSystem()
	defer s.Close()
	t.Logf("%s/%s: %s", runtime.GOOS, runtime.GOARCH, s)
	if s.usable() && runtime.GOOS != "linux" {
		t.Error("only Linux can tell which pages were written")
	}
}

func newMemory(t *testing.T, s *System, limit, size uint64) *Memory {
	t.Helper()
	m := s.NewAllocator(limit, Meter{}).Allocate(0, limit).(*Memory)
	t.Cleanup(m.Free)
	if m.Reallocate(size) == nil {
		t.Fatalf("no memory of %d bytes", size)
	}
	return m
}

func TestAllocatorHoldsTheSumToItsBound(t *testing.T) {
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			a := s.NewAllocator(10<<16, Meter{})
			one, two := a.Allocate(0, 1<<32), a.Allocate(0, 1<<32)
			defer two.Free()
			if one.Reallocate(6<<16) == nil || two.Reallocate(4<<16) == nil {
				t.Fatal("ten pages do not fit into ten")
			}
			if a.Refused() || two.Reallocate(5<<16) != nil || !a.Refused() {
				t.Error("the eleventh page was not refused")
			}
			a.Rearm()
			one.Free()
			if a.Size() != 4<<16 || two.Reallocate(10<<16) == nil || a.Refused() {
				t.Error("what was freed is not to be had again")
			}
		})
	}
}

func TestGrowingKeepsContentAndIsZero(t *testing.T) {
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t, s, 100<<16, 1<<16)
			b := m.Reallocate(1 << 16)
			copy(b, "hello")
			for pages := uint64(2); pages < 100; pages *= 3 {
				b = m.Reallocate(pages << 16)
				if uint64(len(b)) != pages<<16 || string(b[:5]) != "hello" || !bytes.Equal(b[5:], make([]byte, len(b)-5)) {
					t.Fatalf("at %d pages the content is not what it was, and zeros", pages)
				}
			}
		})
	}
}

// TestRestore writes at random, grows, puts back, and compares with a copy; several memories share one image.
func TestRestore(t *testing.T) {
	for name, s := range systems(t) {
		for _, spots := range []int{0, 1, 40, 5000} {
			t.Run(fmt.Sprintf("%s/%d", name, spots), func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, uint64(spots)))
				const size, grown = 40 << 16, 300 << 16
				first := newMemory(t, s, grown, size)
				b := first.Reallocate(size)
				for at := range b[:size/3] {
					b[at] = byte(random.Uint32())
				}
				want := bytes.Clone(b)
				image, err := first.Image()
				if err != nil {
					t.Fatal(err)
				}
				defer image.Close()
				second := newMemory(t, s, grown, size)
				second.Adopt(image)
				first.Adopt(image)
				for turn := range 5 {
					for _, m := range []*Memory{first, second} {
						n := uint64(size)
						if turn > 1 {
							n = grown
						}
						b := m.Reallocate(n)
						for range spots {
							b[random.IntN(len(b))] = byte(random.Uint32())
						}
						m.Restore(false)
						if !bytes.Equal(b[:size], want) || !bytes.Equal(b[size:], make([]byte, len(b)-size)) {
							t.Fatalf("turn %d: the memory is not what it was", turn)
						}
					}
				}
			})
		}
	}
}

func TestDiscard(t *testing.T) {
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t, s, 8<<16, 8<<16)
			b := m.Reallocate(8 << 16)
			for at := range b {
				b[at] = 1
			}
			m.Discard(1 << 16)
			if bytes.Contains(b[:1<<16], []byte{0}) || bytes.Contains(b[1<<16:], []byte{1}) {
				t.Error("not just what lies behind was discarded")
			}
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	s := NewSystem()
	defer s.Close()
	for _, pages := range []int{1, 14, 100, 1000} {
		b.Run(fmt.Sprintf("%d pages", pages), func(b *testing.B) {
			const size = 64 << 16
			m := s.NewAllocator(size, Meter{}).Allocate(0, size).(*Memory)
			defer m.Free()
			mem := m.Reallocate(size)
			image, err := m.Image()
			if err != nil {
				b.Fatal(err)
			}
			defer image.Close()
			m.Adopt(image)
			for b.Loop() {
				for p := range pages {
					mem[p*pageSize]++
				}
				m.Restore(false)
			}
		})
	}
}

// TestWatch checks that a watch knows of every page that is written for the first time, and that what it says is enough to put
// the memory back.
func TestWatch(t *testing.T) {
	s := NewSystem()
	defer s.Close()
	t.Logf("%s/%s: page faults are counted: %v", runtime.GOOS, runtime.GOARCH, s.countsFaults)
	a := s.NewAllocator(1<<22, Meter{})
	m := a.Allocate(0, 1<<22).(*Memory)
	defer m.Free()
	const size = 1 << 20
	b := m.Reallocate(2 * size)
	for at := 0; at < size; at += 8 {
		b[at] = byte(at >> 8)
	}
	want := bytes.Clone(b[:2*size])
	image, err := m.Image()
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	m.Adopt(image)
	w := a.Watch()
	write := func(pages ...int) (same bool) {
		w.Begin()
		for _, p := range pages {
			b[p*pageSize+7] = 0xee
		}
		same = w.End()
		m.Restore(same)
		if !bytes.Equal(b[:2*size], want) {
			t.Fatalf("after pages %v were written, and the watch said %v, the memory is not as it was", pages, same)
		}
		return same
	}
	random := rand.New(rand.NewPCG(1, 2))
	written := map[int]bool{}
	calm := 0
	for range 2000 {
		fresh := false
		var pages []int
		for range random.IntN(4) {
			p := random.IntN(2 * size / pageSize)
			pages = append(pages, p)
			fresh = fresh || !written[p]
			written[p] = true
		}
		same := write(pages...)
		if same && fresh {
			t.Fatalf("one of the pages %v was never written before, and the watch did not see it", pages)
		}
		if same {
			calm++
		}
	}
	if s.countsFaults && calm < 100 {
		t.Errorf("the watch knew of %d calls only", calm)
	}
	w.Begin()
	w.GiveUp()
	if w.End() {
		t.Error("a watch that was given up says that it knows")
	}
	if small := s.NewAllocator(1<<22, Meter{}).Watch(); small.on {
		t.Error("nothing is watched")
	}
	if none := Portable().NewAllocator(1<<22, Meter{}).Watch(); none.on {
		t.Error("a system that counts nothing watches")
	}
}
