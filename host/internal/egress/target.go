package egress

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// target is where a URL leads.
type target struct {
	scheme string // "http" or "https"
	host   string // canonical, see canonicalHost
	port   uint16
}

// parseTarget takes the target out of a URL.
func parseTarget(u *url.URL) (target, error) {
	t := target{scheme: strings.ToLower(u.Scheme)}
	switch t.scheme {
	case "http":
		t.port = 80
	case "https":
		t.port = 443
	default:
		return target{}, abi.Errorf(abi.CodeInvalid, "http_request: the URL must begin with http:// or https://, not %q", u.Scheme)
	}
	if u.Opaque != "" || u.Host == "" {
		return target{}, abi.Errorf(abi.CodeInvalid, "http_request: the URL has no host")
	}
	host, err := canonicalHost(u.Hostname())
	if err != nil {
		return target{}, abi.Errorf(abi.CodeInvalid, "http_request: wrong host %q in the URL: %w", u.Hostname(), err)
	}
	t.host = host
	if p := u.Port(); p != "" {
		if t.port, err = parsePort(p); err != nil {
			return target{}, abi.Errorf(abi.CodeInvalid, "http_request: the URL has a wrong port: %w", err)
		}
	}
	return t, nil
}

// urlHost is the host part of a URL: brackets around an IPv6 address, and the port unless it is the scheme's own.
func (t target) urlHost() string {
	if (t.scheme == "http" && t.port == 80) || (t.scheme == "https" && t.port == 443) {
		if strings.Contains(t.host, ":") {
			return "[" + t.host + "]"
		}
		return t.host
	}
	return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 || s[0] == '+' {
		return 0, errors.New("a port is a number from 1 to 65535")
	}
	return uint16(port), nil
}

// canonicalHost gives a host the one form in which hosts are compared and dialled: an address as netip writes it, IPv4 also when it
// came mapped into IPv6, or a name in lower case without a dot at the end.
func canonicalHost(host string) (string, error) {
	for i := range len(host) {
		if host[i] >= 0x80 {
			return "", errors.New("names beyond ASCII are written in their xn-- form")
		}
	}
	if strings.Contains(host, ":") {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return "", errors.New("it is not an IPv6 address")
		}
		return addr.Unmap().String(), nil
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String(), nil
	}
	return host, checkName(host)
}

// checkName says what keeps host from being a name.
func checkName(host string) error {
	if host == "" {
		return errors.New("it is empty")
	}
	if len(host) > 253 {
		return errors.New("it is longer than 253 characters")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" {
			return errors.New("there is nothing between two dots, or before the first")
		}
		if len(label) > 63 {
			return errors.New("there are more than 63 characters between two dots")
		}
		for i := range len(label) {
			if !nameByte(label[i]) {
				return errors.New("a name has only letters, digits, '-', '_' and dots")
			}
		}
	}
	// What ends in a number is an address to many resolvers: 127.1, 2130706433, 0x7f.1.
	if numeric(labels[len(labels)-1]) {
		return errors.New("an IPv4 address is written as four decimal numbers, each without leading zeros")
	}
	return nil
}

func nameByte(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '_'
}

// numeric reports whether a label is a number, decimal, octal or hexadecimal.
func numeric(label string) bool {
	digits, hex := "0123456789", strings.HasPrefix(label, "0x")
	if hex {
		label, digits = label[2:], "0123456789abcdef"
	}
	return strings.Trim(label, digits) == "" && (hex || label != "")
}
