package rootfs_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// swapper puts one of two things at a name, and the other, until the test ends. In between nothing is there.
func swapper(t *testing.T, name, one, other string) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			for _, what := range []string{one, other} {
				select {
				case <-done:
					return
				default:
				}
				// Other calls of the test may have moved things; what matters is that something changes all the time.
				_ = os.Rename(what, name)
				_ = os.Rename(name, what)
			}
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
}

// TestSwappedLinksDoNotLeadOut runs every operation while a part of its path is, again and again, swapped for a link to the outside.
func TestSwappedLinksDoNotLeadOut(t *testing.T) {
	const rounds, limit = 3000, 700 * time.Millisecond
	for _, kind := range []struct{ name, link string }{{"relative link", "../out"}, {"absolute link", ""}} {
		t.Run(kind.name, func(t *testing.T) {
			base := tree(t, "in/", "", "in/dir/", "", "in/dir/f", "inside", "in/here", "mine", "out/", "", "out/f", "secret", "out/sub/", "")
			in, out := filepath.Join(base, "in"), filepath.Join(base, "out")
			target := kind.link
			if target == "" {
				target = out
			}
			if err := os.Symlink(target, filepath.Join(in, "link")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(target, "f"), filepath.Join(in, "filelink")); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, out)
			f := open(t, in, false)
			stopDir := swapper(t, filepath.Join(in, "swap"), filepath.Join(in, "dir"), filepath.Join(in, "link"))
			defer stopDir()
			stopFile := swapper(t, filepath.Join(in, "swapfile"), filepath.Join(in, "here"), filepath.Join(in, "filelink"))
			defer stopFile()

			readAll := func(name string, flag sys.Oflag) {
				file, errno := f.OpenFile(name, flag, 0o644)
				if errno != 0 {
					return
				}
				defer file.Close()
				buf := make([]byte, 100)
				if n, _ := file.Read(buf); strings.Contains(string(buf[:n]), "secret") {
					t.Errorf("read the secret through %s", name)
				}
			}
			writeAll := func(name string, flag sys.Oflag) {
				file, errno := f.OpenFile(name, flag, 0o644)
				if errno != 0 {
					return
				}
				defer file.Close()
				_, _ = file.Write([]byte("inside"))
				_ = file.Utimens(1, 1)
			}
			reached := 0
			for start, i := time.Now(), 0; i < rounds && time.Since(start) < limit; i++ {
				if st, errno := f.Stat("swap/f"); errno == 0 {
					reached++
					if st.Size == int64(len("secret")) && st.Mtim == 0 {
						t.Error("stat of the outside")
					}
				}
				readAll("swap/f", sys.O_RDONLY)
				readAll("swapfile", sys.O_RDONLY)
				readAll("swapfile", sys.O_RDONLY|sys.O_NOFOLLOW)
				readAll("swap/../swap/f", sys.O_RDONLY)
				writeAll("swap/f", sys.O_WRONLY|sys.O_CREAT|sys.O_TRUNC)
				writeAll("swapfile", sys.O_WRONLY|sys.O_TRUNC)
				writeAll("swapfile", sys.O_WRONLY|sys.O_CREAT|sys.O_APPEND)
				writeAll("swap/created", sys.O_WRONLY|sys.O_CREAT|sys.O_EXCL)
				_ = f.Chmod("swap/f", 0o600)
				_ = f.Chmod("swapfile", 0o600)
				_ = f.Utimens("swap/f", 1, 1)
				_ = f.Utimens("swapfile", 1, 1)
				_ = f.Mkdir("swap/made", 0o755)
				_ = f.Rmdir("swap/made")
				_ = f.Rmdir("swap/sub")
				_ = f.Symlink("f", "swap/soft")
				_ = f.Unlink("swap/soft")
				_ = f.Unlink("swap/created")
				_ = f.Link("swap/f", "stolen")
				readAll("stolen", sys.O_RDONLY)
				_ = f.Unlink("stolen")
				_ = f.Rename("swap/f", "taken")
				readAll("taken", sys.O_RDONLY)
				_ = f.Rename("taken", "swap/f")
				if folder, errno := f.OpenFile("swap", sys.O_DIRECTORY, 0); errno == 0 {
					dirents, _ := folder.Readdir(-1)
					for _, d := range dirents {
						if d.Name == "sub" {
							t.Error("listed the outside")
						}
					}
					folder.Close()
				}
				if i == 0 { // whatever was taken in the first round is back
					writeAll("dir/f", sys.O_WRONLY|sys.O_CREAT)
				}
			}
			stopDir()
			stopFile()
			if reached == 0 {
				t.Error("the folder was never reached: the test shows nothing")
			}
			if after := snapshot(t, out); after != before {
				t.Errorf("the outside changed:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// TestHammer uses one FS from many goroutines, as instances of one plugin do.
func TestHammer(t *testing.T) {
	f := open(t, tree(t, "shared", "x"), false)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			name := string(rune('a' + w))
			for range 100 {
				if errno := f.Mkdir(name, 0o755); errno != 0 {
					t.Error("mkdir", errno)
				}
				file, errno := f.OpenFile(name+"/f", sys.O_RDWR|sys.O_CREAT, 0o644)
				if errno != 0 {
					t.Error("open", errno)
					return
				}
				if _, errno := file.Write([]byte(name)); errno != 0 {
					t.Error("write", errno)
				}
				file.Close()
				if _, errno := f.Stat("shared"); errno != 0 {
					t.Error("stat", errno)
				}
				if errno := f.Rename(name+"/f", name+"/g"); errno != 0 {
					t.Error("rename", errno)
				}
				if errno := f.Unlink(name + "/g"); errno != 0 {
					t.Error("unlink", errno)
				}
				if errno := f.Rmdir(name); errno != 0 {
					t.Error("rmdir", errno)
				}
			}
		})
	}
	wg.Wait()
}
