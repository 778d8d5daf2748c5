package sqlitestore

import (
	"github.com/google/uuid"
)

// seqOf is the rowid of a task: the first 60 bits of its UUIDv7 that are not its version, so that the order of rowids is that of ids.
// False: the id is no UUID as it is written.
func seqOf(id string) (seq int64, u uuid.UUID, ok bool) {
	if len(id) != 36 {
		return 0, u, false
	}
	u, err := uuid.Parse(id)
	if err != nil {
		return 0, u, false
	}
	for i := range len(id) {
		if c := id[i]; c >= 'A' && c <= 'Z' {
			return 0, u, false
		}
	}
	for _, b := range u[:6] {
		seq = seq<<8 | int64(b)
	}
	return seq<<12 | int64(u[6]&15)<<8 | int64(u[7]), u, true
}

// firstSeq is the least rowid of an id that was drawn at a time, in milliseconds since 1970.
func firstSeq(ms int64) int64 { return min(max(ms, 0), 1<<48-1) << 12 }
