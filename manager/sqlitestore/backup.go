package sqlitestore

import (
	"context"
	"errors"
	"os"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/abi"
)

// Backup writes a copy of the store into a new file, which must not be there yet. The store can be used meanwhile; the copy has
// everything that was acknowledged before Backup was called, and is of one moment. Open opens it as it is.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	if err := s.flush(ctx); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return abi.Errorf(abi.CodeInvalid, "the backup cannot be written: %w", err)
	}
	defer func() {
		if err == nil {
			err = f.Sync()
		}
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			_ = os.Remove(path) // it is not whole
			err = unavailable(path, err)
		}
	}()
	c, err := connect(&s.cfg, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeConn(c)) }()
	st, _, err := c.Prepare("VACUUM INTO ?")
	if err != nil {
		return err
	}
	if err := st.BindText(1, path); err != nil {
		return err
	}
	c.SetInterrupt(ctx)
	err = st.Exec()
	c.SetInterrupt(context.Background())
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Vacuum gives the room that removed tasks left in the file back to the file system. Nothing else is written meanwhile; it needs as
// much room again for a moment.
func (s *Store) Vacuum(ctx context.Context) error {
	return s.onWriter(ctx, func() error {
		if err := s.recover(); err != nil {
			return err
		}
		if err := s.w.c.Exec("VACUUM"); err != nil {
			return err
		}
		if err := s.w.log.flush(); err != nil {
			return err
		}
		_, _, err := s.w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
		if errors.Is(err, sqlite3.BUSY) {
			return nil // a reader is in the way: a later checkpoint does it
		}
		return err
	})
}
