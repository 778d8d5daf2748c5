package sqlitestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/manager"
)

// The file of running attempts, beside the database: one slot for each lease, written without a sync when an attempt begins. It
// outlives the process, though perhaps not the machine, so that an attempt counts even if the process dies at once.
//
// A slot is: the 16 bytes of the task's id, its attempt, the attempt's start and that of the first (Unix nanoseconds), all of 8 bytes,
// little endian; the CRC-32C of those 40 bytes; and zeros.
const slotBytes = 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// runningFile writes the slots. Each slot has one owner at a time.
type runningFile struct {
	f *os.File

	mu  sync.Mutex
	err error // of the last write; an attempt that cannot be noted runs all the same
}

// slotList says which slots are free. It is used with the agenda's lock held.
type slotList struct {
	free []int32
	used int32 // slots that were ever used
}

// takeSlot finds a free slot, plus 1.
func (s *Store) takeSlot(k *kept) int32 {
	if k.slot != 0 {
		return k.slot
	}
	l := &s.slots
	if n := len(l.free); n > 0 {
		k.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		l.used++
		k.slot = l.used
	}
	return k.slot
}

// freeSlot gives a slot back. A slot that says more than is true must be wiped.
func (s *Store) freeSlot(k *kept, wipe bool) {
	if k.slot == 0 {
		return
	}
	if wipe {
		s.running.wipe(k.slot)
	}
	s.slots.free = append(s.slots.free, k.slot)
	k.slot = 0
}

func (f *runningFile) write(slot int32, t *manager.Task, u uuid.UUID) {
	var b [slotBytes]byte
	copy(b[:], u[:])
	at, _ := unixNano(t.AttemptAt)
	first, _ := unixNano(t.StartedAt)
	binary.LittleEndian.PutUint64(b[16:], uint64(t.Attempt))
	binary.LittleEndian.PutUint64(b[24:], uint64(at))
	binary.LittleEndian.PutUint64(b[32:], uint64(first))
	binary.LittleEndian.PutUint32(b[40:], crc32.Checksum(b[:40], castagnoli))
	f.put(slot, b[:])
}

func (f *runningFile) wipe(slot int32) { f.put(slot, make([]byte, slotBytes)) }

func (f *runningFile) put(slot int32, b []byte) {
	if _, err := f.f.WriteAt(b, int64(slot-1)*slotBytes); err != nil {
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
	}
}

// attempt is what a slot says.
type attempt struct {
	number    int
	at, first int64
}

// readRunning reads the slots of a file; there may be none.
func readRunning(path string) (map[uuid.UUID]attempt, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeRunning(b), nil
}

func decodeRunning(b []byte) map[uuid.UUID]attempt {
	found := make(map[uuid.UUID]attempt)
	for ; len(b) >= slotBytes; b = b[slotBytes:] {
		u := uuid.UUID(b[:16])
		if binary.LittleEndian.Uint32(b[40:]) != crc32.Checksum(b[:40], castagnoli) || u == (uuid.UUID{}) {
			continue
		}
		a := attempt{
			number: int(int32(binary.LittleEndian.Uint64(b[16:]))), at: int64(binary.LittleEndian.Uint64(b[24:])),
			first: int64(binary.LittleEndian.Uint64(b[32:])),
		}
		if a.number > found[u].number {
			found[u] = a
		}
	}
	return found
}

// begin makes a task running, as the start of that attempt did.
func (a attempt) begin(t *manager.Task) {
	at := time.Unix(0, a.at).UTC()
	if t.StartedAt.IsZero() {
		t.StartedAt = at
	}
	if t.PartialCut {
		t.Partial, t.PartialStep, t.PartialCut = nil, 0, false
	}
	t.Status, t.AttemptAt, t.RunAt, t.ExpiresAt, t.Error, t.Cause = manager.StatusRunning, at, time.Time{}, time.Time{}, nil, ""
	t.Attempt = a.number
	t.TotalSteps = max(1, len(t.Spec.Steps))
	t.CurrentStep = t.PartialStep + 1
	t.Progress = float64(t.PartialStep) / float64(t.TotalSteps)
	t.Message = ""
}

// openRunning reads what the process before left, makes those tasks running in the table, and begins the file anew.
func (s *Store) openRunning(path string) error {
	begun, err := readRunning(path)
	if err != nil {
		return err
	}
	w := s.w
	if len(begun) > 0 {
		err = w.transaction(func() error {
			for u, a := range begun {
				if err := w.beginAttempt(u, a); err != nil {
					return err
				}
			}
			return w.writeCounts()
		})
		if err == nil {
			err = w.wal.Sync(walSync)
		}
		if err != nil {
			return err
		}
	}
	s.running.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return err
}

// beginAttempt makes a task running if its row says that the attempt has not begun.
func (w *writer) beginAttempt(u uuid.UUID, a attempt) error {
	seq, _, _ := seqOf(u.String())
	r := &reading{c: w.c, st: w.spare}
	tt, found, err := r.task(seq)
	t := &tt.task
	if err != nil || !found || t.ID != u.String() || t.Status != manager.StatusPending || t.Attempt >= a.number {
		return err
	}
	was := tt.bytes
	a.begin(t)
	t.Revision++
	row, err := newRow(t, seq, u)
	if err != nil {
		return err
	}
	big := bigParts(t)
	if err := w.dropBlobs(seq, tt.stored&^big); err != nil {
		return err
	}
	if err := w.writeRow(row, false, 0, big); err != nil {
		return err
	}
	w.tally.add(pending, was, -1)
	w.tally.add(running, row.bytes, 1)
	return nil
}
