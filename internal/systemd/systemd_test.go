package systemd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("SYSTEMD_TEST_CHILD") != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

// child answers one connection of each socket that it was given.
func child() int {
	all, err := Listeners(os.Getenv)
	if err != nil || len(all) != 2 {
		os.Stderr.WriteString("no two sockets\n")
		return 1
	}
	for _, l := range all {
		c, err := l.Accept()
		if err != nil {
			return 2
		}
		c.Write([]byte("hello from " + l.Addr().Network()))
		c.Close()
		l.Close()
	}
	return 0
}

// env is an environment of a few variables.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := NewNotifier(env("NOTIFY_SOCKET", path))
	read := func() string {
		b := make([]byte, 1000)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		k, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:k])
	}
	for _, tc := range []struct {
		tell func() error
		want string
	}{
		{func() error { return n.Notify(Ready) }, "READY=1"},
		{func() error { return n.Status("two\nlines") }, "STATUS=two"},
		{n.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
	} {
		if err := tc.tell(); err != nil {
			t.Fatal(err)
		}
		if got := read(); !strings.HasPrefix(got, tc.want) || len(got) > len(tc.want)+20 {
			t.Errorf("%q", got)
		}
	}
	if err := (Notifier{}).Notify(Ready); err != nil {
		t.Error(err)
	}
	if err := NewNotifier(env("NOTIFY_SOCKET", path+"x")).Notify(Ready); err == nil || !strings.Contains(err.Error(), "READY=1") {
		t.Error(err)
	}
}

func TestWatchdogInterval(t *testing.T) {
	me := strconv.Itoa(os.Getpid())
	for _, tc := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"20000000", "", 20 * time.Second}, {"1000", me, time.Millisecond}, {"1000", "1", 0}, {"", "", 0}, {"-5", me, 0}, {"x", me, 0},
	} {
		if got := WatchdogInterval(env("WATCHDOG_USEC", tc.usec, "WATCHDOG_PID", tc.pid)); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func TestListeners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var files []*os.File
	var addrs []net.Addr
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", path}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, addrs = append(files, f), append(addrs, l.Addr())
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "SYSTEMD_TEST_CHILD=1", "LISTEN_FDS=2")
	cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		c, err := net.Dial(a.Network(), a.String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 100)
		if k, err := c.Read(b); err != nil || string(b[:k]) != "hello from "+a.Network() {
			t.Errorf("%q, %v", b[:k], err)
		}
		c.Close()
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the socket's file is gone: %v", err)
	}
}

func TestNoListeners(t *testing.T) {
	me := strconv.Itoa(os.Getpid())
	for _, e := range []func(string) string{env(), env("LISTEN_FDS", "2"), env("LISTEN_FDS", "2", "LISTEN_PID", "1"), env("LISTEN_FDS", "0", "LISTEN_PID", me)} {
		if all, err := Listeners(e); err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}
	}
	if _, err := Listeners(env("LISTEN_FDS", "x", "LISTEN_PID", me)); err == nil {
		t.Error("no error")
	}
}
