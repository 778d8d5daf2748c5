package sqlitestore

import (
	"context"
	"errors"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/abi"
)

// unavailable says what went wrong with the file, and what to do about it. Errors that have a code, and those of a context, stay as
// they are.
func unavailable(path string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*abi.Error](err); ok {
		return e
	}
	var what string
	switch {
	case errors.Is(err, sqlite3.INTERRUPT) && errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sqlite3.FULL), errors.Is(err, syscall.ENOSPC):
		what = "the disk is full: make room, and try again"
	case errors.Is(err, sqlite3.IOERR), errors.Is(err, syscall.EIO):
		what = "the disk cannot be read or written: look after it, and start again"
	case errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.PERM), errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.AUTH):
		what = "the file cannot be opened or written: look at its permissions and those of its folder"
	case errors.Is(err, sqlite3.NOTADB):
		return abi.Errorf(abi.CodeInvalid, "%s is no database: name another file (%w)", path, err)
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, errJournal):
		what = "the file is damaged: restore a backup"
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		what = "another program has locked the file: stop it, and try again"
	default:
		what = "the database failed"
	}
	return abi.Errorf(abi.CodeUnavailable, "%s: %s (%w)", path, what, err)
}

// errClosed is for a store that is closed.
func errClosed() error { return abi.Errorf(abi.CodeClosed, "the store is closed") }
