package sqlitestore

import (
	"encoding/binary"
	"errors"

	"github.com/google/uuid"

	"github.com/taskhost/taskhost/manager"
)

// The column journal.ops holds tasks as they are after a change, one after the other. Each is: the byte opTask; the 16 bytes of its id;
// varints: status, attempt, revision, bytes, the five times; a byte with the parts that stay as they are, and one with those in the table
// blobs; the spec, the state and the other parts, each after its length plus 1 (0: there is none).
const opTask = 1

// errJournal is for a row of the journal that cannot be read.
var errJournal = errors.New("the journal is damaged")

// appendOp writes an op. The parts in kept stay as they are, those in big are in the table blobs.
func appendOp(b []byte, r *row, kept, big partMask) []byte {
	b = append(b, opTask)
	b = append(b, r.uuid[:]...)
	b = binary.AppendVarint(b, int64(r.stat))
	b = binary.AppendVarint(b, int64(r.task.Attempt))
	b = binary.AppendUvarint(b, r.task.Revision)
	b = binary.AppendVarint(b, r.bytes)
	for _, at := range r.times {
		b = binary.AppendVarint(b, at)
	}
	b = append(b, byte(kept), byte(big))
	b = appendBytes(b, r.spec)
	b = appendBytes(b, r.state)
	for i, p := range parts(r.task) {
		if !kept.has(i) && !big.has(i) {
			b = appendBytes(b, p)
		}
	}
	return b
}

func appendBytes(b, p []byte) []byte {
	if p == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(p))+1)
	return append(b, p...)
}

// op is a change that was journaled.
type op struct {
	task      manager.Task // without the parts in kept and big
	seq       int64
	uuid      uuid.UUID
	bytes     int64 // as row.bytes
	kept, big partMask
}

// reader reads what appendOp wrote.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); len(p) == 1 {
		return p[0]
	}
	return 0
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	return append([]byte{}, r.take(n-1)...)
}

// decodeOps reads a row of the journal and calls do with each op.
func decodeOps(ops []byte, do func(o *op) error) error {
	r := reader{b: ops}
	for len(r.b) > 0 {
		var o op
		if err := o.decode(&r); err != nil {
			return err
		}
		if err := do(&o); err != nil {
			return err
		}
	}
	return nil
}

func (o *op) decode(r *reader) error {
	if r.byte() != opTask {
		return errJournal
	}
	copy(o.uuid[:], r.take(16))
	id := o.uuid.String()
	o.seq, _, _ = seqOf(id)
	t := &o.task
	t.ID = id
	stat := r.varint()
	if stat < 0 || stat >= int64(numStatuses) {
		return errJournal
	}
	t.Status = words[stat]
	t.Attempt, t.Revision, o.bytes = int(r.varint()), r.uvarint(), r.varint()
	var times [numTimes]int64
	for i := range times {
		times[i] = r.varint()
	}
	setTimes(t, &times)
	o.kept, o.big = partMask(r.byte()), partMask(r.byte())
	spec, state := r.bytes(), r.bytes()
	if r.bad {
		return errJournal
	}
	if err := decodeTask(t, spec, state); err != nil {
		return errors.Join(errJournal, err)
	}
	var p [numParts][]byte
	for i := range p {
		if !o.kept.has(i) && !o.big.has(i) {
			p[i] = r.bytes()
		}
	}
	if r.bad {
		return errJournal
	}
	setParts(t, p)
	return nil
}
