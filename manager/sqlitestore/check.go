package sqlitestore

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/abi"
)

// maxProblems bounds what Check tells.
const maxProblems = 100

// Check looks through the file of a store and says what is wrong with it; nothing: all is well. It only reads, and the store may be
// in use by another process meanwhile. An error means that the file could not be read.
func Check(ctx context.Context, path string) (problems []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, abi.Errorf(abi.CodeNotFound, "the store cannot be checked: %w", err)
	}
	c, err := openToCheck(path)
	if err != nil {
		return nil, unavailable(path, err)
	}
	defer func() {
		if closed := closeConn(c); err == nil {
			err = unavailable(path, closed)
		}
	}()
	c.SetInterrupt(ctx)
	defer c.SetInterrupt(context.Background())
	k := &checker{r: &reading{c: c, st: make(map[string]*sqlite3.Stmt)}, blobs: make(map[int64]partMask)}
	if err := k.run(path); err != nil {
		return k.problems, unavailable(path, err)
	}
	return k.problems, nil
}

func openToCheck(path string) (*sqlite3.Conn, error) {
	uri, err := fileURI(path)
	if err != nil {
		return nil, err
	}
	c, err := sqlite3.OpenFlags(uri.String(), sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	if err == nil {
		err = c.Exec("PRAGMA busy_timeout = 5000; BEGIN; SELECT count(*) FROM sqlite_schema")
	}
	if err == nil {
		return c, nil
	}
	if c != nil {
		_ = closeConn(c) // the first error says more
	}
	if _, stat := os.Stat(path + "-wal"); stat == nil {
		return nil, err
	}
	// The folder cannot be written. Nobody has the file open, so it does not change.
	uri.RawQuery = "immutable=1"
	if c, err = sqlite3.OpenFlags(uri.String(), sqlite3.OPEN_READONLY|sqlite3.OPEN_URI); err != nil {
		return nil, err
	}
	return c, c.Exec("BEGIN")
}

// checker is one Check.
type checker struct {
	r        *reading
	problems []string
	blobs    map[int64]partMask // parts that tasks and the journal say are in the table blobs
}

func (k *checker) found(format string, args ...any) {
	if len(k.problems) < maxProblems {
		k.problems = append(k.problems, fmt.Sprintf(format, args...))
	}
}

func (k *checker) run(path string) error {
	version, err := queryInt(k.r.c, "PRAGMA user_version")
	if err != nil {
		return err
	}
	app, err := queryInt(k.r.c, "PRAGMA application_id")
	if err != nil {
		return err
	}
	if app != applicationID || version != int64(len(migrations)) {
		return abi.Errorf(abi.CodeInvalid, "%s is no store of this version (application id %#x, version %d)", path, app, version)
	}
	err = k.r.each("PRAGMA integrity_check(20)", nil, func(st *sqlite3.Stmt) error {
		if text := st.ColumnText(0); text != "ok" {
			k.found("SQLite: %s", text)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, check := range []func() error{k.journal, k.tasks, k.counts, k.references} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// journal decodes what is not yet in the tables.
func (k *checker) journal() error {
	return k.r.each("SELECT n, ops FROM journal", nil, func(st *sqlite3.Stmt) error {
		err := decodeOps(append([]byte{}, st.ColumnRawBlob(1)...), func(o *op) error {
			k.blobs[o.seq] |= o.big
			return nil
		})
		if err != nil {
			k.found("journal row %d: %v", st.ColumnInt64(0), err)
		}
		return nil
	})
}

// tasks decodes every task.
func (k *checker) tasks() error {
	return k.r.each("SELECT "+columns+", s.sort FROM tasks t LEFT JOIN sorts s ON s.sort = t.sort", nil, func(st *sqlite3.Stmt) error {
		tt, err := readTask(st, false)
		switch seq, _, ok := seqOf(tt.task.ID); {
		case err != nil:
			k.found("task %s: %v", tt.task.ID, err)
		case !ok || seq != tt.seq:
			k.found("task %s is in row %d", tt.task.ID, tt.seq)
		case tt.task.Status == "":
			k.found("task %s has the status %d", tt.task.ID, st.ColumnInt(2))
		case st.ColumnType(14) == sqlite3.NULL:
			k.found("task %s has a sort that is not there", tt.task.ID)
		}
		k.blobs[tt.seq] |= tt.stored
		return nil
	})
}

// counts compares the counts with the rows.
func (k *checker) counts() error {
	var kept, real tally
	err := k.r.each("SELECT value FROM meta WHERE key = 'counts'", nil, func(st *sqlite3.Stmt) error {
		return json.Unmarshal(st.ColumnRawText(0), &kept)
	})
	if err != nil {
		return err
	}
	err = k.r.each("SELECT status, count(*), sum(bytes) FROM tasks GROUP BY status", nil, func(st *sqlite3.Stmt) error {
		s := status(st.ColumnInt(0))
		if s >= numStatuses {
			return nil
		}
		n, bytes := st.ColumnInt64(1), st.ColumnInt64(2)
		real.Tasks[s] = n
		switch {
		case s == pending:
			real.PendingBytes = bytes
		case s.final():
			real.DoneBytes += bytes
		}
		return nil
	})
	if err == nil && kept != real {
		k.found("the counts are %+v, and the tasks %+v", kept, real)
	}
	return err
}

// references looks for what belongs to no task, and what a task misses.
func (k *checker) references() error {
	err := k.r.each(`SELECT l.label, l.seq, t.seq IS NULL FROM labels l LEFT JOIN tasks t ON t.seq = l.seq
		LEFT JOIN label_names n ON n.label = l.label WHERE t.seq IS NULL OR n.label IS NULL`, nil, func(st *sqlite3.Stmt) error {
		if st.ColumnBool(2) {
			k.found("label %d is for row %d, which is not there", st.ColumnInt64(0), st.ColumnInt64(1))
		} else {
			k.found("label %d of row %d has no name", st.ColumnInt64(0), st.ColumnInt64(1))
		}
		return nil
	})
	if err != nil {
		return err
	}
	have := make(map[int64]partMask)
	err = k.r.each("SELECT key FROM blobs", nil, func(st *sqlite3.Stmt) error {
		seq, part := st.ColumnInt64(0)/numParts, int(st.ColumnInt64(0)%numParts)
		have[seq] |= 1 << part
		if !k.blobs[seq].has(part) {
			k.found("blob %d belongs to no task", st.ColumnInt64(0))
		}
		return nil
	})
	for seq, want := range k.blobs {
		if missing := want &^ have[seq]; missing != 0 {
			k.found("the task in row %d misses its parts %#b in the table blobs", seq, missing)
		}
	}
	return err
}
