package rootfs_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
)

// TestLikeDirFS does the same to an FS and to wazero's DirFS, which calls the system directly. As long as no path leads out, they must
// agree in what they answer and in what is there afterwards.
func TestLikeDirFS(t *testing.T) {
	for seed := range uint64(40) {
		mine, theirs := t.TempDir(), t.TempDir()
		a, b := sys.FS(open(t, mine, false)), sysfs.DirFS(theirs)
		r := rand.New(rand.NewPCG(seed, 1))
		var log []string
		for range 150 {
			op := randomOp(r)
			got, want := op.do(a), op.do(b)
			log = append(log, fmt.Sprintf("%s: %s", op.name, got))
			if !agree(op, got, want) {
				t.Fatalf("seed %d: %s: %s, DirFS says %s\nbefore:\n%s", seed, op.name, got, want, recent(log))
			}
			if x, y := outline(t, mine), outline(t, theirs); x != y {
				t.Fatalf("seed %d: after %s:\n%s\nDirFS:\n%s\nbefore:\n%s", seed, op.name, x, y, recent(log))
			}
		}
	}
}

func recent(log []string) string { return strings.Join(log[max(0, len(log)-20):], "\n") }

// randomCall is something done to a file system, with its answer in words.
type randomCall struct {
	name string
	do   func(sys.FS) string
}

func randomOp(r *rand.Rand) randomCall {
	parts := []string{"a", "b", "c"}
	path := func() string {
		p := parts[r.IntN(3)]
		for r.IntN(3) == 0 {
			p += "/" + parts[r.IntN(3)]
		}
		return p
	}
	p, q := path(), path()
	word := func(errno sys.Errno) string { return errno.Error() }
	switch r.IntN(11) {
	case 0:
		return randomCall{"mkdir " + p, func(f sys.FS) string { return word(f.Mkdir(p, 0o755)) }}
	case 1:
		return randomCall{"rmdir " + p, func(f sys.FS) string { return word(f.Rmdir(p)) }}
	case 2:
		return randomCall{"unlink " + p, func(f sys.FS) string { return word(f.Unlink(p)) }}
	case 3:
		return randomCall{"rename " + p + " " + q, func(f sys.FS) string { return word(f.Rename(p, q)) }}
	case 4:
		return randomCall{"link " + p + " " + q, func(f sys.FS) string { return word(f.Link(p, q)) }}
	case 5:
		target := parts[r.IntN(3)]
		return randomCall{"symlink " + target + " " + p, func(f sys.FS) string { return word(f.Symlink(target, p)) }}
	case 6:
		return randomCall{"readlink " + p, func(f sys.FS) string { s, errno := f.Readlink(p); return s + word(errno) }}
	case 7, 8:
		return randomCall{"stat " + p, func(f sys.FS) string {
			st, errno := f.Stat(p)
			lst, lerrno := f.Lstat(p)
			if st.Mode.IsDir() {
				st.Size, lst.Size = 0, 0
			}
			return fmt.Sprint(st.Mode, st.Size, st.Nlink, errno, lst.Mode, lst.Size, lerrno)
		}}
	}
	flag := []sys.Oflag{sys.O_RDONLY, sys.O_RDWR, sys.O_WRONLY}[r.IntN(3)]
	for _, more := range []sys.Oflag{sys.O_CREAT, sys.O_EXCL, sys.O_TRUNC, sys.O_APPEND, sys.O_NOFOLLOW, sys.O_DIRECTORY} {
		if r.IntN(3) == 0 {
			flag |= more
		}
	}
	if flag&(sys.O_RDWR|sys.O_WRONLY) == 0 {
		flag &^= sys.O_TRUNC // POSIX leaves open what it does
	}
	if flag&sys.O_DIRECTORY != 0 {
		flag &^= sys.O_CREAT // likewise, and kernels differ
	}
	if flag&sys.O_CREAT == 0 {
		flag &^= sys.O_EXCL
	}
	return randomCall{fmt.Sprintf("open %s %b", p, flag), func(f sys.FS) string {
		file, errno := f.OpenFile(p, flag, 0o640)
		if errno != 0 {
			return word(errno)
		}
		defer file.Close()
		if isDir, _ := file.IsDir(); isDir {
			dirents, errno := file.Readdir(-1)
			var names []string
			for _, d := range dirents {
				names = append(names, d.Name+d.Type.String())
			}
			slices.Sort(names)
			return fmt.Sprint(names, errno)
		}
		buf := make([]byte, 4)
		n, rerrno := file.Read(buf)
		m, werrno := file.Write([]byte("xyz"))
		pos, serrno := file.Seek(0, 1)
		return fmt.Sprint(string(buf[:n]), rerrno, m, werrno, pos, serrno, file.IsAppend())
	}}
}

// agree reports whether two answers are the same, or differ as they are known to.
func agree(op randomCall, got, want string) bool {
	switch {
	case got == want:
		return true
	case strings.HasPrefix(op.name, "mkdir") && want == sys.ENOENT.Error():
		return got == sys.ENOTDIR.Error() // DirFS hides which
	case strings.HasPrefix(op.name, "rename") && want == "success":
		words := strings.Fields(op.name) // DirFS does not look for what is renamed to itself
		return words[1] == words[2] && got != "success"
	case strings.HasPrefix(op.name, "rename"), strings.HasPrefix(op.name, "link"):
		// Two paths, and each may be wrong in its way.
		return got != "success" && want != "success"
	}
	return false
}

// outline describes a folder without what differs from one to the next.
func outline(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v", strings.TrimPrefix(path, dir), d.Type())
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprint(&b, target, err)
		case d.Type().IsRegular():
			content, err := os.ReadFile(path)
			fmt.Fprintf(&b, " %q %v", content, err)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
