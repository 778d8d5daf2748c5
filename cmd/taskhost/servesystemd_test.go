package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServeUnderSystemd gives a server what systemd gives it: a socket to tell its state to, a watchdog, and one to listen on.
func TestServeUnderSystemd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	told := func(want string) string {
		t.Helper()
		b := make([]byte, 4096)
		for {
			_ = notify.SetReadDeadline(time.Now().Add(60 * time.Second))
			n, err := notify.Read(b)
			if err != nil {
				t.Fatalf("systemd is not told %s: %v", want, err)
			}
			if strings.HasPrefix(string(b[:n]), want) {
				return string(b[:n])
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	r := command(t, t.TempDir(), []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=200000", "LISTEN_FDS=1"}, func(program string, args []string) *exec.Cmd {
		cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, program}, args...)...)
		cmd.ExtraFiles = []*os.File{socket}
		return cmd
	})
	told("READY=1")
	r.url = "http://" + l.Addr().String()
	if status, _, _ := r.ask("GET", "/readyz", ""); status != 200 {
		t.Errorf("readyz on systemd's socket: %d", status)
	}
	told("WATCHDOG=1")
	r.signal(syscall.SIGHUP)
	if text := told("RELOADING=1"); !strings.Contains(text, "MONOTONIC_USEC=") {
		t.Errorf("%q", text)
	}
	told("READY=1")
	r.signal(syscall.SIGTERM)
	if text := told("STOPPING=1"); !strings.Contains(text, "EXTEND_TIMEOUT_USEC=60000000") {
		t.Errorf("%q", text)
	}
	if code := r.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestServeUnixSocket listens on a unix socket alone, also in the place of a server that was killed.
func TestServeUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	dir := t.TempDir()
	for range 2 {
		r := process(t, dir, "--listen", "unix:"+path)
		r.line("serving on unix:")
		r.url = "http://localhost"
		r.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}
		if status, body, _ := r.ask("GET", "/v1/stats", ""); status != 200 || !strings.Contains(body, `"id":"local"`) {
			t.Errorf("%d %s", status, body)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
		if out, err := exec.Command("taskhost", "health", "--listen", "unix:"+path).CombinedOutput(); err != nil {
			t.Errorf("health: %v %s", err, out)
		}
		second := process(t, t.TempDir(), "--listen", "unix:"+path)
		second.line("another server runs there")
		if code := second.exit(); code != exitUsage {
			t.Errorf("a second server: exit code %d", code)
		}
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
}
