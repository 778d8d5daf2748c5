package faultfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/taskhost/taskhost/manager/sqlitestore/internal/faultfs"
)

// TestFaults fails the writes of a database, tears one, and lets the rest go on.
func TestFaults(t *testing.T) {
	var fault faultfs.Fault
	var ops []faultfs.Op
	name := faultfs.Register("", func(op faultfs.Op) faultfs.Fault {
		ops = append(ops, op)
		if op.Kind == faultfs.Write && filepath.Ext(op.Name) == ".db" {
			return fault
		}
		return faultfs.Fault{}
	})
	path := filepath.Join(t.TempDir(), "x.db")
	c, err := sqlite3.Open("file:" + path + "?vfs=" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec("CREATE TABLE t(x); INSERT INTO t VALUES(1)"); err != nil {
		t.Fatal(err)
	}
	if len(ops) == 0 || ops[0].N == 0 {
		t.Fatal("no calls were seen")
	}
	for _, want := range []error{faultfs.ErrFull, faultfs.ErrIO} {
		fault = faultfs.Fault{Err: want}
		err := c.Exec("INSERT INTO t VALUES(2)")
		fault = faultfs.Fault{}
		if err == nil {
			t.Fatalf("%v went by", want)
		}
		if errors.Is(want, faultfs.ErrFull) && !errors.Is(err, sqlite3.FULL) {
			t.Errorf("a full disk is %v", err)
		}
	}
	if err := c.Exec("INSERT INTO t VALUES(3)"); err != nil {
		t.Error(err)
	}
}

// TestTorn writes half.
func TestTorn(t *testing.T) {
	name := faultfs.Register("", func(op faultfs.Op) faultfs.Fault {
		if op.Kind == faultfs.Write {
			return faultfs.Fault{Err: faultfs.ErrIO, Torn: true}
		}
		return faultfs.Fault{}
	})
	path := filepath.Join(t.TempDir(), "x.db")
	c, err := sqlite3.Open("file:" + path + "?vfs=" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec("PRAGMA journal_mode = OFF; CREATE TABLE t(x)"); err == nil {
		t.Error("the fault went by")
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Size() != 2048 {
		t.Errorf("%v has %d bytes, want half of a page", err, fi.Size())
	}
	if vfs.Find(name) == nil {
		t.Error("it is not registered")
	}
}
