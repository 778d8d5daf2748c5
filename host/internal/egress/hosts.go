package egress

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

const (
	maxEntry        = 1024 // bytes
	maxAlternatives = 256  // what the braces of one entry may stand for
)

// grant is how an entry allows a host.
type grant int

const (
	grantNone    grant = iota // not at all
	grantPattern              // by a pattern: not at special addresses
	grantName                 // by naming it in full: wherever it is
)

// rule is one name, address or pattern that is allowed.
type rule struct {
	pattern string // canonical; with '*' and '?' when it is no name
	exact   bool
	port    uint16 // 0: any
}

type hostList []rule

// match says how the list allows a canonical host at a port; naming it in full goes before patterns.
func (l hostList) match(host string, port uint16) grant {
	best := grantNone
	for _, r := range l {
		switch {
		case r.port != 0 && r.port != port:
		case r.exact && r.pattern == host:
			return grantName
		case !r.exact && glob(r.pattern, host):
			best = grantPattern
		}
	}
	return best
}

// parseHosts reads the entries of a policy.
func parseHosts(entries []string) (hostList, error) {
	var list hostList
	for _, entry := range entries {
		rules, err := parseEntry(entry)
		if err != nil {
			return nil, abi.Errorf(abi.CodeInvalid, "allowed_hosts: wrong entry %q: %w", shorten(entry), err)
		}
		list = append(list, rules...)
	}
	return list, nil
}

func shorten(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

func parseEntry(entry string) ([]rule, error) {
	switch {
	case len(entry) > maxEntry:
		return nil, errors.New("it is longer than 1024 bytes")
	case strings.ContainsAny(entry, "/@"):
		return nil, errors.New("an entry is a host, not a URL: no scheme, no path, no user")
	case strings.ContainsAny(entry, " \t\r\n"):
		return nil, errors.New("there is white space in it")
	case strings.Contains(entry, `\`):
		return nil, errors.New("backslashes are not supported")
	}
	host, port, err := splitEntry(entry)
	if err != nil {
		return nil, err
	}
	if !strings.ContainsAny(host, "*?{}") {
		canonical, err := canonicalHost(host)
		if err != nil {
			return nil, err
		}
		return []rule{{pattern: canonical, exact: true, port: port}}, nil
	}
	patterns, err := expand(strings.ToLower(host))
	if err != nil {
		return nil, err
	}
	rules := make([]rule, 0, len(patterns))
	for _, p := range patterns {
		p = strings.TrimSuffix(p, ".")
		if err := checkPattern(p); err != nil {
			return nil, err
		}
		rules = append(rules, rule{pattern: p, port: port})
	}
	return rules, nil
}

// splitEntry cuts the port off; 0 is no port.
func splitEntry(entry string) (host string, port uint16, err error) {
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		host, rest, ok := strings.Cut(inner, "]")
		if _, err := netip.ParseAddr(host); !ok || err != nil || !strings.Contains(host, ":") {
			return "", 0, errors.New("brackets are for an IPv6 address; character classes are not supported")
		}
		if rest == "" {
			return host, 0, nil
		}
		service, ok := strings.CutPrefix(rest, ":")
		if !ok {
			return "", 0, errors.New("only a port may follow the brackets")
		}
		port, err := parsePort(service)
		return host, port, err
	}
	switch strings.Count(entry, ":") {
	case 0:
		return entry, 0, nil
	case 1:
		host, service, _ := strings.Cut(entry, ":")
		port, err := parsePort(service)
		return host, port, err
	}
	return entry, 0, nil // an IPv6 address without brackets, or nothing at all: canonicalHost tells
}

// expand replaces the braces of a pattern: {a,b}.com is a.com and b.com. They may be nested.
func expand(pattern string) ([]string, error) {
	open := strings.IndexAny(pattern, "{}")
	if open < 0 {
		return []string{pattern}, nil
	}
	if pattern[open] == '}' {
		return nil, errors.New("there is a } without a {")
	}
	// The end of this brace, and the commas that belong to it.
	depth, start, end := 0, open+1, -1
	var parts []string
	for i := open; i < len(pattern) && end < 0; i++ {
		switch b := pattern[i]; {
		case b == '{':
			depth++
		case b == '}' && depth > 1:
			depth--
		case b == '}':
			parts, end = append(parts, pattern[start:i]), i
		case b == ',' && depth == 1:
			parts, start = append(parts, pattern[start:i]), i+1
		}
	}
	if end < 0 {
		return nil, errors.New("there is a { without a }")
	}
	rest, err := expand(pattern[end+1:])
	if err != nil {
		return nil, err
	}
	var all []string
	for _, part := range parts {
		middles, err := expand(part)
		if err != nil {
			return nil, err
		}
		if len(all)+len(middles)*len(rest) > maxAlternatives {
			return nil, errors.New("its braces stand for more than 256 hosts")
		}
		for _, middle := range middles {
			for _, tail := range rest {
				all = append(all, pattern[:open]+middle+tail)
			}
		}
	}
	return all, nil
}

// checkPattern says what keeps p, whose braces are gone, from being a pattern of hosts.
func checkPattern(p string) error {
	if p == "" {
		return errors.New("one of its alternatives is empty")
	}
	if len(p) > 253 {
		return errors.New("it is longer than 253 characters")
	}
	for i := range len(p) {
		switch b := p[i]; {
		case nameByte(b), b == '.', b == '*', b == '?':
		case b >= 0x80:
			return errors.New("names beyond ASCII are written in their xn-- form")
		case b == '[', b == ']', b == '!':
			return errors.New("character classes are not supported")
		case b == ':':
			return errors.New("IPv6 addresses are listed whole, not as patterns")
		default:
			return errors.New("a pattern has only letters, digits, '-', '_', dots, '*', '?' and braces")
		}
	}
	return nil
}

// glob reports whether the whole of s matches the pattern, where '*' is any run of bytes and '?' any one byte.
// It takes at most len(pattern)*len(s) steps.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, resume := -1, 0 // the last '*', and where in s to go on when it takes one byte more
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
