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
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	return writeBackup(ctx, path, func() (*sqlite3.Conn, error) { return connect(&s.cfg, true) })
}

// BackupFile is Backup for the file of a store that another process may be using.
func BackupFile(ctx context.Context, from, path string) error {
	if _, err := os.Stat(from); err != nil {
		return abi.Errorf(abi.CodeNotFound, "the store cannot be copied: %w", err)
	}
	return writeBackup(ctx, path, func() (*sqlite3.Conn, error) {
		uri, err := fileURI(from)
		if err != nil {
			return nil, err
		}
		c, err := sqlite3.OpenFlags(uri.String(), sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
		if err == nil {
			err = c.Exec("PRAGMA busy_timeout = 5000")
		}
		return c, err
	})
}

// writeBackup copies what a connection reads into a new file.
func writeBackup(ctx context.Context, path string, open func() (*sqlite3.Conn, error)) (err error) {
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
	c, err := open()
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
