//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package auth

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// checkOwner fails when a file belongs to somebody else.
func checkOwner(t *testing.T, path string, uid, gid int) {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if sys := st.Sys().(*syscall.Stat_t); int(sys.Uid) != uid || int(sys.Gid) != gid {
		t.Errorf("%s belongs to %d:%d, not to %d:%d", path, sys.Uid, sys.Gid, uid, gid)
	}
}

// TestTokensOfRootReachTheService has root make tokens in the folder of another user; anybody else's files stay their own.
func TestTokensOfRootReachTheService(t *testing.T) {
	f := tokenFile(t)
	dir := filepath.Dir(f.Path())
	uid, gid := os.Geteuid(), os.Getegid()
	give := func(path string, u, g int) {
		if os.Geteuid() != 0 {
			return
		}
		if err := os.Chown(path, u, g); err != nil {
			t.Fatal(err)
		}
		uid, gid = u, g
	}
	if st, err := os.Stat(dir); err == nil && os.Geteuid() != 0 {
		gid = int(st.Sys().(*syscall.Stat_t).Gid) // some systems give new files the group of the folder
	}
	give(dir, 12345, 23456)
	create(t, f, "first", RoleAdmin)
	checkOwner(t, f.Path(), uid, gid)
	checkOwner(t, f.Path()+".lock", uid, gid)
	checkOwner(t, dir, uid, gid)
	lockUID, lockGID := uid, gid

	give(f.Path(), 12346, 23457) // the file's owner goes before the folder's
	create(t, f, "second", RoleRead)
	checkOwner(t, f.Path(), uid, gid)
	checkOwner(t, f.Path()+".lock", lockUID, lockGID)
	if _, err := f.Remove("first"); err != nil {
		t.Fatal(err)
	}
	checkOwner(t, f.Path(), uid, gid)
	if st, err := os.Stat(f.Path()); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// TestLockIsNoWayToOtherFiles puts links in the place of the lock file: what they lead to keeps its owner.
func TestLockIsNoWayToOtherFiles(t *testing.T) {
	for name, link := range map[string]func(from, to string) error{"symlink": os.Symlink, "hard link": os.Link} {
		f := tokenFile(t)
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(other)
		if err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(filepath.Dir(f.Path()), 12345, 23456); err != nil {
				t.Fatal(err)
			}
		}
		if err := link(other, f.Path()+".lock"); err != nil {
			t.Fatal(err)
		}
		_, _, err = f.Create("ci", RoleSubmit, time.Time{})
		if (err != nil) != (name == "symlink") {
			t.Errorf("%s: %v", name, err)
		}
		was := st.Sys().(*syscall.Stat_t)
		checkOwner(t, other, int(was.Uid), int(was.Gid))
	}
}
