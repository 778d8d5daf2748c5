// Package egress is the HTTP client that the http_request of guests goes through: it reaches only what a policy allows.
//
// # What may be reached
//
// Only http and https, and only hosts that match an entry of [Policy.AllowedHosts]. An empty list allows nothing. An entry is
//
//   - a name or an address: "api.example.com", "203.0.113.7", "2001:db8::7", "[2001:db8::7]";
//   - a pattern: "*" stands for any run of characters, dots too, "?" for any one character, "{a,b}" for a or b:
//     "*.example.com", "{api,www}.example.com", "*". The whole host is compared, so "*.example.com" does not allow "example.com".
//     This is the subset of Extism's patterns that makes sense for hosts; character classes and backslashes are refused;
//   - either of them with a port, "api.example.com:8080", which then allows that port alone; without one any port is allowed.
//     An IPv6 address with a port needs brackets.
//
// Names are compared without regard to case and to one dot at the end. Names beyond ASCII are written in their xn-- form, in entries
// and in URLs. IPv4 addresses are written as four decimal numbers: forms like 127.1, 0x7f000001 or 0177.0.0.1 are refused.
//
// A pattern never reaches loopback, link-local, multicast and unspecified addresses nor the addresses of cloud metadata services. Those
// are for entries that name the host in full: "localhost", "127.0.0.1", "[::1]", "printer.local". What counts is the address that is
// connected to, whatever the name was and whatever it resolved to a moment ago, and an IPv4 address inside an IPv6 address counts as
// well (mapped, NAT64, 6to4, Teredo, ISATAP). So who names a host in full trusts those who answer for its name in the DNS.
// Private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7) are like any other: a pattern reaches them.
//
// Every redirect has to pass the same rules; there are at most 10.
//
// # What is sent
//
// There is no proxy, also when the environment names one, and there are no cookies but those in the request's headers. Headers that
// belong to the connection are left out (Connection and what it names, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade,
// Content-Length), and so is Host, which is always the URL's. Authorization, Cookie and Referer go no further than the first redirect
// to another scheme, host or port.
package egress
