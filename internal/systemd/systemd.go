// Package systemd is what a service says to systemd, and gets from it: readiness, a watchdog, sockets that are open already. Where no
// systemd is, nothing happens. It speaks the protocol of sd_notify(3) and sd_listen_fds(3) itself, which is a few lines.
package systemd

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// States for Notify.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Watchdog = "WATCHDOG=1"
)

// Notifier tells the service manager what state the service is in. The zero value tells nobody.
type Notifier struct{ socket string }

// NewNotifier makes a notifier for $NOTIFY_SOCKET.
func NewNotifier(getenv func(string) string) Notifier { return Notifier{getenv("NOTIFY_SOCKET")} }

// Notify tells a state: lines of NAME=VALUE.
func (n Notifier) Notify(state string) error {
	if n.socket == "" {
		return nil
	}
	name := n.socket
	if strings.HasPrefix(name, "@") { // Linux: a socket without a file
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return abi.Errorf(abi.CodeUnavailable, "tell systemd %s: %w", firstLine(state), err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return abi.Errorf(abi.CodeUnavailable, "tell systemd %s: %w", firstLine(state), err)
	}
	return nil
}

// Status tells a text that systemctl status shows.
func (n Notifier) Status(text string) error { return n.Notify("STATUS=" + firstLine(text)) }

// Reloading tells that the service reads its configuration again; Ready ends it.
func (n Notifier) Reloading() error {
	return n.Notify("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(monotonic().Microseconds(), 10))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// WatchdogInterval is the time within which systemd wants to hear Watchdog from this process; 0: it does not.
func WatchdogInterval(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// firstSocket is the first file descriptor that systemd hands over.
const firstSocket = 3

// Listeners returns the listening sockets that systemd opened for this process. The caller closes them. Each call gives them anew, so call
// it once.
func Listeners(getenv func(string) string) ([]net.Listener, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 100 {
		return nil, abi.Errorf(abi.CodeInvalid, "LISTEN_FDS is %q; systemd gives a number there", getenv("LISTEN_FDS"))
	}
	var all []net.Listener
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		f := os.NewFile(uintptr(fd), "LISTEN_FD_"+strconv.Itoa(fd))
		l, err := net.FileListener(f) // a copy, closed on exec
		_ = f.Close()
		if err != nil {
			for _, l := range all {
				_ = l.Close()
			}
			return nil, abi.Errorf(abi.CodeInvalid, "the socket %d of systemd is none to listen on: %w", fd, err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // the file is systemd's
		}
		all = append(all, l)
	}
	return all, nil
}
