package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/taskhost/taskhost/internal/config"
	"github.com/taskhost/taskhost/internal/systemd"
)

// openListeners opens the sockets of a server: those that systemd hands over, and, if there are none or if the configuration names them,
// those of the configuration.
func (a *app) openListeners(ctx context.Context, l *config.Loaded) ([]net.Listener, error) {
	all, err := systemd.Listeners(a.getenv)
	if err != nil {
		return nil, usagef("%v", err)
	}
	if len(all) > 0 && origin(l, "listen") == config.FromDefault {
		return all, nil
	}
	for _, addr := range l.Listen {
		var one net.Listener
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			one, err = listenUnix(ctx, path)
		} else {
			one, err = new(net.ListenConfig).Listen(ctx, "tcp", addr)
		}
		if err != nil {
			closeListeners(all)
			return nil, usagef("--listen %s: %v", addr, listenError(err))
		}
		all = append(all, one)
	}
	return all, nil
}

// origin says where the value of a key comes from.
func origin(l *config.Loaded, key string) config.Origin {
	for i := range l.Values {
		if l.Values[i].Setting.Key == key {
			return l.Values[i].Origin
		}
	}
	return config.FromDefault
}

// listenError is the part of an error that says something.
func listenError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address is in use: another server runs there")
	}
	return err
}

// listenUnix listens on a unix socket. The file of a server that is gone is replaced.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		if c, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
			_ = c.Close()
			return nil, syscall.EADDRINUSE
		}
		_ = os.Remove(path)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func closeListeners(all []net.Listener) {
	for _, l := range all {
		_ = l.Close()
	}
}

// checkOpen refuses addresses that others can reach, on a server that has no tokens.
func checkOpen(all []net.Listener, cfg *config.Config) error {
	for _, l := range all {
		tcp, ok := l.Addr().(*net.TCPAddr)
		if ok && !tcp.IP.IsLoopback() {
			return usagef("there are no tokens, and everybody who reaches %s would be an admin: make one with \"taskhost token create --role admin --name NAME%s\", or listen on 127.0.0.1",
				tcp, tokensArgument(cfg))
		}
	}
	return nil
}

// tokensArgument is how token create is told where the tokens are.
func tokensArgument(cfg *config.Config) string {
	if cfg.Tokens != "" {
		return " --tokens " + cfg.Tokens
	}
	return " --data " + cfg.Data
}

// urlOf is how a listener is reached from this machine.
func urlOf(l net.Listener, tls bool) string {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return "unix:" + l.Addr().String()
	}
	scheme, host := "http", tcp.IP.String()
	if tls {
		scheme = "https"
	}
	if tcp.IP.IsUnspecified() {
		host = "localhost"
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, fmt.Sprint(tcp.Port)))
}
