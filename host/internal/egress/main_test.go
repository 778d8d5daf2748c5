package egress

import (
	"context"
	"encoding/binary"
	"net"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client makes a Client that leaves nothing behind when the test ends.
func client(t testing.TB, p Policy) *Client {
	t.Helper()
	c, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// allow is a Client that may reach the hosts.
func allow(t testing.TB, hosts ...string) *Client {
	t.Helper()
	return client(t, Policy{AllowedHosts: hosts})
}

// portOf is the port that the server listens at.
func portOf(t testing.TB, srv *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// wantCode fails the test unless err has the code.
func wantCode(t testing.TB, err error, want abi.Code) {
	t.Helper()
	if got := abi.CodeOf(err); got != want {
		t.Fatalf("error %v: code %q, want %q", err, got, want)
	}
}

// names is a DNS server on loopback. It answers with the addresses of a name and knows no other names.
type names struct {
	mu   sync.Mutex
	a    map[string][]net.IP // "name." to IPv4 addresses
	conn net.PacketConn
	done sync.WaitGroup
}

func serveNames(t *testing.T, a map[string][]net.IP) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{a: a, conn: conn}
	n.done.Go(n.serve)
	t.Cleanup(func() {
		conn.Close()
		n.done.Wait()
	})
	return n
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp4", n.conn.LocalAddr().String())
	}}
}

func (n *names) set(name string, ips ...net.IP) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.a[name] = ips
}

func (n *names) serve() {
	buf := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := n.answer(buf[:size]); answer != nil {
			_, _ = n.conn.WriteTo(answer, from)
		}
	}
}

// answer is the response to a query with one question.
func (n *names) answer(q []byte) []byte {
	const header, typeA = 12, 1
	name, end := "", header
	for end < len(q) && q[end] != 0 {
		next := end + 1 + int(q[end])
		if next >= len(q) {
			return nil
		}
		name += string(q[end+1:next]) + "."
		end = next
	}
	end += 1 + 4 // the root's length, type and class
	if end > len(q) {
		return nil
	}
	n.mu.Lock()
	ips, known := n.a[name]
	n.mu.Unlock()
	if binary.BigEndian.Uint16(q[end-4:]) != typeA {
		ips = nil
	}

	out := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, byte(len(ips)), 0, 0, 0, 0}, q[header:end]...)
	if !known {
		out[3] |= 3 // NXDOMAIN
	}
	for _, ip := range ips {
		out = append(out, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
		out = append(out, ip.To4()...)
	}
	return out
}
