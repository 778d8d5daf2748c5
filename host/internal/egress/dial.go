package egress

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/taskhost/taskhost/abi"
)

// dial connects to addr, "host:port" with the host as in the URL. It is the last word on what is reached: it decides on the address
// that the system is about to connect to, so that what a name resolves to cannot change after the check.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, err
	}
	granted := c.allowed.match(host, uint16(port))
	if granted == grantNone {
		return nil, notListed(addr)
	}
	d := net.Dialer{
		Timeout:  c.timeout,
		Resolver: c.lookup(),
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return checkAddress(granted, host, address)
		},
	}
	return d.DialContext(ctx, network, addr)
}

// checkAddress says whether host may be reached at address, "ip:port".
func checkAddress(granted grant, host, address string) error {
	if granted == grantName {
		return nil
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return abi.Errorf(abi.CodeDenied, "http_request: host %q has the address %q, which is not understood", host, address)
	}
	if kind := special(ap.Addr()); kind != "" {
		return abi.Errorf(abi.CodeDenied,
			"http_request: host %q has the %s address %s, which no pattern allows; list %q itself in allowed_hosts of the plugin's manifest",
			host, kind, ap.Addr(), host)
	}
	return nil
}

// lookup is a Resolver for one connection, whose look-ups end with their context. Package net lets a look-up go on that two callers
// once shared, and waits for an answer that nobody needs any longer; so nothing is shared here, and the end closes the connection to
// the name server.
func (c *Client) lookup() *net.Resolver {
	connect := c.resolver.Dial
	if connect == nil {
		connect = new(net.Dialer).DialContext
	}
	return &net.Resolver{
		PreferGo:     c.resolver.PreferGo,
		StrictErrors: c.resolver.StrictErrors,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := connect(ctx, network, addr)
			if err == nil {
				context.AfterFunc(ctx, func() { conn.Close() }) // at the latest when the look-up is over
			}
			return conn, err
		},
	}
}
