package sqlitestore

import (
	"strconv"

	"github.com/ncruces/go-sqlite3"

	"github.com/taskhost/taskhost/abi"
)

// applicationID marks the file as one of this package: "TKHS".
const applicationID = 0x544b4853

// migrations bring a database from version i to version i+1. The newest version is their number. They only go forward, and what was
// released never changes.
var migrations = []func(c *sqlite3.Conn) error{
	func(c *sqlite3.Conn) error { return c.Exec(version1) },
	func(*sqlite3.Conn) error { return nil }, // 2: new rows have a shorter form in tasks.state and journal.ops; see stateVersion
}

const version1 = `
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE journal(n INTEGER PRIMARY KEY, ops BLOB NOT NULL);
CREATE TABLE sorts(sort INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, queue TEXT NOT NULL, plugins TEXT NOT NULL);
CREATE TABLE tasks(
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL,
	status INTEGER NOT NULL,
	sort INTEGER NOT NULL,
	priority INTEGER,
	attempt INTEGER NOT NULL,
	created_at INTEGER,
	run_at INTEGER,
	started_at INTEGER,
	finished_at INTEGER,
	expires_at INTEGER,
	revision INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	links INTEGER,
	parts INTEGER,
	spec TEXT NOT NULL,
	state TEXT NOT NULL,
	input BLOB,
	output BLOB,
	partial BLOB,
	checkpoint BLOB
);
CREATE INDEX tasks_by_sort ON tasks(sort, status, seq);
CREATE INDEX tasks_live ON tasks(status, seq) WHERE status < 2;
CREATE INDEX tasks_by_end ON tasks(finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE label_names(label INTEGER PRIMARY KEY, name TEXT NOT NULL, value TEXT NOT NULL, UNIQUE(name, value));
CREATE TABLE labels(label INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(label, seq)) WITHOUT ROWID;
CREATE TABLE blobs(key INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE unique_keys(key TEXT PRIMARY KEY, id TEXT NOT NULL, seq INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX unique_keys_by_end ON unique_keys(until);
CREATE TABLE records(kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(kind, name)) WITHOUT ROWID;
CREATE VIEW task AS SELECT
	t.id,
	CASE t.status WHEN 0 THEN 'pending' WHEN 1 THEN 'running' WHEN 2 THEN 'completed' WHEN 3 THEN 'failed' ELSE 'cancelled' END AS status,
	s.name, s.kind, s.queue, s.plugins, t.attempt,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.created_at / 1e9, 'unixepoch') AS created_at,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.run_at / 1e9, 'unixepoch') AS run_at,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1e9, 'unixepoch') AS started_at,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.finished_at / 1e9, 'unixepoch') AS finished_at,
	t.state ->> '$.error.code' AS error_code,
	t.state ->> '$.error.message' AS error,
	t.state ->> '$.input_bytes' AS input_bytes,
	t.state ->> '$.output_bytes' AS output_bytes,
	t.bytes,
	t.spec -> '$.labels' AS labels
	FROM tasks t JOIN sorts s ON s.sort = t.sort;
`

// migrate makes the tables, or brings those of an older version forward, all or nothing.
func migrate(c *sqlite3.Conn, path string) error {
	version, err := queryInt(c, "PRAGMA user_version")
	if err != nil {
		return err
	}
	app, err := queryInt(c, "PRAGMA application_id")
	if err != nil {
		return err
	}
	tables, err := queryInt(c, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	newest := int64(len(migrations))
	switch {
	case app != applicationID && (app != 0 || tables > 0):
		return abi.Errorf(abi.CodeInvalid, "%s is a database of another program: name another file", path)
	case version > newest:
		return abi.Errorf(abi.CodeInvalid, "%s has version %d, and this program knows versions up to %d: run the program that wrote it, or a newer one", path, version, newest)
	case version == newest && app == applicationID:
		return nil
	}
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for v := version; v < newest; v++ {
		if err := migrations[v](c); err != nil {
			_ = c.Exec("ROLLBACK") // the first error says more
			return err
		}
	}
	err = c.Exec("PRAGMA application_id = " + strconv.Itoa(applicationID) + "; PRAGMA user_version = " + strconv.FormatInt(newest, 10) + "; COMMIT")
	if err != nil {
		_ = c.Exec("ROLLBACK") // the first error says more
	}
	return err
}

// queryInt returns the number that a query gives.
func queryInt(c *sqlite3.Conn, sql string) (int64, error) {
	st, _, err := c.Prepare(sql)
	if err != nil {
		return 0, err
	}
	var n int64
	if st.Step() {
		n = st.ColumnInt64(0)
	}
	err = st.Err()
	if closed := st.Close(); err == nil {
		err = closed
	}
	return n, err
}
