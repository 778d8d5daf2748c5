package egress

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		entry, url string
		want       grant
	}{
		{"example.com", "http://example.com/", grantName},
		{"example.com", "https://EXAMPLE.com.:8443/x", grantName},
		{"Example.COM.", "http://example.com", grantName},
		{"example.com", "http://sub.example.com", grantNone},
		{"example.com", "http://example.com.evil.org", grantNone},
		{"example.com", "http://example.com@evil.org/", grantNone},
		{"example.com", "http://evil.org/example.com", grantNone},
		{"example.com", "http://evil.org#example.com", grantNone},
		{"example.com", "http://evil.org?example.com", grantNone},
		{"*.example.com", "http://a.example.com", grantPattern},
		{"*.example.com", "http://a.b.EXAMPLE.com", grantPattern},
		{"*.example.com", "http://example.com", grantNone},
		{"*.example.com", "http://a.example.com.evil.org", grantNone},
		{"*", "http://anything.at.all", grantPattern},
		{"**", "http://anything.at.all", grantPattern},
		{"*", "http://127.0.0.1", grantPattern},
		{"*", "http://[2001:db8::1]:99", grantPattern},
		{"{a,b}.com", "http://a.com", grantPattern},
		{"{a,b}.com", "http://b.com", grantPattern},
		{"{a,b}.com", "http://c.com", grantNone},
		{"{a,{b,c}*}.{com,org}", "http://cdn.org", grantPattern},
		{"a{,.b}.com", "http://a.b.com", grantPattern},
		{"a{,.b}.com", "http://a.com", grantPattern},
		{"{localhost}", "http://localhost", grantPattern},
		{"h?st.com", "http://host.com", grantPattern},
		{"h?st.com", "http://hst.com", grantNone},
		{"example.com:8080", "http://example.com:8080", grantName},
		{"example.com:8080", "http://example.com:08080", grantName},
		{"example.com:8080", "http://example.com", grantNone},
		{"example.com:80", "http://example.com", grantName},
		{"example.com:80", "https://example.com", grantNone},
		{"example.com:443", "https://example.com", grantName},
		{"*:8080", "http://x.org:8080", grantPattern},
		{"*:8080", "http://x.org", grantNone},
		{"127.0.0.1", "http://127.0.0.1:1234", grantName},
		{"127.0.0.1", "http://[::ffff:127.0.0.1]", grantName},
		{"127.0.0.1", "http://[::ffff:7f00:1]", grantName},
		{"127.0.0.1", "http://127.0.0.1./", grantName},
		{"::ffff:127.0.0.1", "http://127.0.0.1", grantName},
		{"::1", "http://[::1]:80", grantName},
		{"[::1]", "http://[0:0:0:0:0:0:0:1]:80", grantName},
		{"[::1]:8080", "http://[::1]:8080", grantName},
		{"[::1]:8080", "http://[::1]", grantNone},
		{"fe80::1%eth0", "http://[fe80::1%25eth0]/", grantName},
		{"fe80::1", "http://[fe80::1%25eth0]/", grantNone},
		{"xn--bcher-kva.example", "http://XN--bcher-kva.example/", grantName},
		{"my_host", "http://my_host", grantName},
	}
	for _, tt := range tests {
		t.Run(tt.entry+" "+tt.url, func(t *testing.T) {
			list, err := parseHosts([]string{tt.entry})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			target, err := parseTarget(u)
			if err != nil {
				t.Fatal(err)
			}
			if got := list.match(target.host, target.port); got != tt.want {
				t.Errorf("entry %q, host %q, port %d: grant %d, want %d", tt.entry, target.host, target.port, got, tt.want)
			}
		})
	}
}

func TestMatchPrefersTheNameToThePattern(t *testing.T) {
	for _, entries := range [][]string{{"*", "localhost"}, {"localhost", "*"}} {
		list, err := parseHosts(entries)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.match("localhost", 80); got != grantName {
			t.Errorf("%v: grant %d, want %d", entries, got, grantName)
		}
	}
}

func TestNewNamesTheWrongEntry(t *testing.T) {
	for _, entry := range []string{
		"", " ", "a b", "http://example.com", "example.com/", "user@example.com", "example.com:", "example.com:0", "example.com:99999",
		"example.com:+80", "example.com:http", "example.com:*", "*:*", "[ab].com", "[!a].com", "*[0-9]", `a\*b`, "{a,b", "a}", "{", "{}", "a,b",
		"[::1", "[::1]x", "[127.0.0.1]", "::1:x", "1:2:3", "2001:db8:*", "bücher.example", "*.bücher.example", "localhost\x00",
		"127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "0x7f000001", "1.2.3", "1.2.3.4.5", "256.0.0.1", "a..b", ".a", "..",
		strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 130) + "com", strings.Repeat("{a,b}", 9), strings.Repeat("{", 1000),
		strings.Repeat("*", 1025), "*!", "*#",
	} {
		_, err := New(Policy{AllowedHosts: []string{"fine.example", entry}})
		wantCode(t, err, abi.CodeInvalid)
		if name := shorten(entry); !strings.Contains(err.Error(), `"`+strings.ReplaceAll(name, `\`, `\\`)+`"`) && name == strings.ToValidUTF8(name, "") &&
			!strings.ContainsAny(name, "\x00") {
			t.Errorf("the error does not name entry %q: %v", entry, err)
		}
	}
}

func TestWrongURL(t *testing.T) {
	for _, raw := range []string{
		"", "example.com", "//example.com", "/path", "ftp://example.com", "file:///etc/passwd", "unix:///run/x.sock", "http:", "http://", "http:///x",
		"http:example.com", "http://:80", "http://example.com:0", "http://example.com:65536", "http://example.com:x", "http://exa mple.com",
		"http://exa\nmple.com", "http://[::1", "http://[localhost]", "http://[127.0.0.1]", "http://::1", "http://127.1", "http://2130706433",
		"http://0x7f000001", "http://0x7f.1", "http://0177.0.0.1", "http://127.0.0.01", "http://127.0.0.0x1", "http://1.2.3.256", "http://0x",
		"http://bücher.example", "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", "http://①②⑦.⓪.⓪.①", "http://127。0。0。1",
		"http://%6c%6fcalhost", "http://%31%32%37.0.0.1", "http://a..b", "http://.a", "http://..", "http://.", "http://a*b", "http://*",
		"javascript:alert(1)", "http://localhost%00.example.com", "http://a,b", "http://a!b",
	} {
		_, err := allow(t, "*", "localhost", "127.0.0.1").Do(t.Context(), Request{URL: raw})
		if got := abi.CodeOf(err); got != abi.CodeInvalid {
			t.Errorf("%q: error %v, code %q, want %q", raw, err, got, abi.CodeInvalid)
		}
	}
}

func TestSpecialAddresses(t *testing.T) {
	tests := map[string]string{
		"127.0.0.1": "loopback", "127.255.255.254": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback", "::127.0.0.1": "loopback",
		"169.254.169.254": "link-local", "169.254.1.1": "link-local", "fe80::1": "link-local", "fe80::1%eth0": "link-local",
		"febf::1": "link-local", "::ffff:169.254.169.254": "link-local",
		"0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "::": "unspecified", "::ffff:0.0.0.0": "unspecified",
		"224.0.0.1": "multicast", "239.255.255.255": "multicast", "ff02::1": "multicast", "ff05::1:3": "multicast",
		"255.255.255.255": "broadcast",
		"100.100.100.200": "cloud metadata", "fd00:ec2::254": "cloud metadata", "168.63.129.16": "cloud metadata",
		"64:ff9b::127.0.0.1":        "loopback",
		"64:ff9b::a9fe:a9fe":        "link-local",
		"64:ff9b:1:7f00:0:100::":    "loopback",   // NAT64, /48
		"64:ff9b:1:a9:fe:a9fe::":    "link-local", // NAT64, /56
		"64:ff9b:1::7f:0:100:0":     "loopback",   // NAT64, /64
		"64:ff9b:1::7f00:1":         "loopback",   // NAT64, /96
		"2002:7f00:1::":             "loopback",   // 6to4
		"2002:a9fe:a9fe::1":         "link-local",
		"2001:0:7f00:1::":           "loopback", // Teredo, server
		"2001:0:808:808::80ff:fffe": "loopback", // Teredo, client
		"::ffff:0:127.0.0.1":        "loopback",
		"2001:db8::5efe:7f00:1":     "loopback", // ISATAP
		"2001:db8::200:5efe:7f00:1": "loopback",

		"8.8.8.8": "", "2001:4860:4860::8888": "", "64:ff9b::8.8.8.8": "", "2002:808:808::": "", "64:ff9b:1:808:8:800::": "", "64:ff9b:1::808:808": "",
		// Private networks are like any other.
		"10.0.0.1": "", "172.16.0.1": "", "192.168.1.1": "", "fc00::1": "", "fd12:3456::1": "", "100.64.0.1": "", "64:ff9b::10.0.0.1": "",
	}
	for addr, want := range tests {
		if got := special(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
		err := checkAddress(grantPattern, "some.host", netip.AddrPortFrom(netip.MustParseAddr(addr), 80).String())
		if (err != nil) != (want != "") {
			t.Errorf("%s through a pattern: %v", addr, err)
		}
		if err := checkAddress(grantName, "some.host", netip.AddrPortFrom(netip.MustParseAddr(addr), 80).String()); err != nil {
			t.Errorf("%s by name: %v", addr, err)
		}
	}
	if err := checkAddress(grantPattern, "some.host", "/run/some.sock"); abi.CodeOf(err) != abi.CodeDenied {
		t.Errorf("what is no address: %v", err)
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("*.example.com", "a.example.com")
	f.Add("a*b?c*", "axxbyc")
	f.Add("**a", "ba")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 100 || len(s) > 100 {
			return
		}
		expr := "^(?s:"
		for i := range len(pattern) {
			switch b := pattern[i]; {
			case b == '*':
				expr += ".*"
			case b == '?':
				expr += "."
			case b >= 0x80:
				return // regexp is about runes, hosts are ASCII
			default:
				expr += regexp.QuoteMeta(string(rune(b)))
			}
		}
		for i := range len(s) {
			if s[i] >= 0x80 {
				return
			}
		}
		if got, want := glob(pattern, s), regexp.MustCompile(expr+")$").MatchString(s); got != want {
			t.Errorf("glob(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}

func FuzzEntry(f *testing.F) {
	for _, s := range []string{"example.com:80", "[::1]:8080", "{a,{b,c}}*.com", "*", "127.0.0.1", "a{,b}", "[ab]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		rules, err := parseEntry(entry)
		if err != nil {
			return
		}
		if len(rules) == 0 || len(rules) > maxAlternatives {
			t.Fatalf("%q: %d rules", entry, len(rules))
		}
		for _, r := range rules {
			switch {
			case r.exact && strings.ContainsAny(r.pattern, "*?{}"):
				t.Fatalf("%q: pattern %q counts as a name", entry, r.pattern)
			case r.exact:
				if again, err := canonicalHost(r.pattern); err != nil || again != r.pattern {
					t.Fatalf("%q: %q is not canonical: %q, %v", entry, r.pattern, again, err)
				}
			case checkPattern(r.pattern) != nil:
				t.Fatalf("%q: pattern %q is wrong", entry, r.pattern)
			}
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		"http://example.com", "https://[::ffff:127.0.0.1]:8443/x?y#z", "http://127.1", "http://u:p@h.:80", "http://[fe80::1%25eth0]/", "http://0x7f.1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		first, err := parseTarget(u)
		if err != nil {
			return
		}
		for i := range len(first.host) {
			if b := first.host[i]; b <= ' ' || b == 0x7f || b >= 0x80 && !strings.Contains(first.host, "%") || 'A' <= b && b <= 'Z' && !strings.Contains(first.host, "%") {
				t.Fatalf("%q: host %q", raw, first.host)
			}
		}
		// What is sent must lead where what was checked leads.
		u.Host = first.urlHost()
		again, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, u, err)
		}
		if second, err := parseTarget(again); err != nil || second != first {
			t.Fatalf("%q: %+v, then %+v, %v", raw, first, second, err)
		}
		// Nothing that a lenient resolver would read as an address passes as a name.
		if _, err := netip.ParseAddr(first.host); err != nil && !regexp.MustCompile(`(^|\.)[a-z0-9_-]*[a-z_-][a-z0-9_-]*$`).MatchString(first.host) {
			t.Fatalf("%q: %q is neither address nor name", raw, first.host)
		}
	})
}
