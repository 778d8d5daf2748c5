package sqlitestore

import (
	"github.com/ncruces/go-sqlite3"
)

// The write-ahead log is copied into the database in the background when it has so many bytes, and begun anew by the writer when it
// has as many as that.
const (
	backgroundBytes = 16 << 20
	restartBytes    = 64 << 20
)

// pageSize is that of new files. With pages of 4096 bytes, four tasks to a page, splitting pages costs more.
const pageSize = 8192

// checkpoint keeps the log from growing. The writer calls it between transactions.
func (s *Store) checkpoint() {
	w := s.w
	switch {
	case w.walPages < w.walDone:
		w.walDone = 0 // it was begun anew
	case w.walPages < w.walDone+backgroundBytes/w.pageSize:
	case w.walPages >= restartBytes/w.pageSize:
		w.walDone = w.walPages
		// Readers may be in the way: the next try comes soon. Another error shows at the next commit.
		if _, _, err := w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_RESTART); err == nil {
			w.walPages, w.walDone = 0, 0
		}
	default:
		w.walDone = w.walPages
		select {
		case s.checks <- struct{}{}:
		default:
		}
	}
}

// runCheckpoints is the goroutine that copies the log in the background.
func (s *Store) runCheckpoints() {
	var c *sqlite3.Conn
	for {
		select {
		case <-s.checks:
		case <-s.quit:
			if c != nil {
				_ = c.Close() // it wrote nothing of its own
			}
			return
		}
		if c == nil {
			var err error
			if c, err = connect(&s.cfg, true); err != nil {
				continue // the writer tells of it
			}
		}
		_, _, _ = c.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE) // the writer tells of what is wrong
	}
}
