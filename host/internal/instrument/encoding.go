package instrument

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
)

// encoded is what [Result.Encode] writes beside the binary.
type encoded struct {
	Globals       []Global
	HasStart      bool
	VirtualMemory bool
	Restorable    bool
	Reasons       []string
	Slice, Stack  int64
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// Encode writes the result, but for Module, in a form that [Decode] of the same build reads. It is meant for a cache: a checksum finds
// what was damaged, nothing finds what was forged.
func (r *Result) Encode() ([]byte, error) {
	meta, err := json.Marshal(encoded{r.Globals, r.HasStart, r.VirtualMemory, r.Restorable, r.Reasons, r.slice, r.stack})
	if err != nil {
		return nil, err
	}
	b := make([]byte, 8, 8+len(meta)+len(r.Wasm))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(meta)))
	b = append(append(b, meta...), r.Wasm...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], crcTable))
	return b, nil
}

// Decode reads what Encode wrote. The result shares memory with b.
func Decode(b []byte) (*Result, error) {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], crcTable) {
		return nil, errors.New("instrument: the encoded result is damaged")
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if uint64(n) > uint64(len(b)-8) {
		return nil, errors.New("instrument: the encoded result is too short")
	}
	var e encoded
	if err := json.Unmarshal(b[8:8+n], &e); err != nil {
		return nil, err
	}
	return &Result{
		Wasm: b[8+n:], Globals: e.Globals, HasStart: e.HasStart, VirtualMemory: e.VirtualMemory,
		Restorable: e.Restorable, Reasons: e.Reasons, slice: e.Slice, stack: e.Stack,
	}, nil
}
