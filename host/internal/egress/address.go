package egress

import "net/netip"

// special says what kind of address a is, when it is one that only an entry naming the host in full reaches; otherwise it is empty.
func special(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return "invalid"
	case a.IsUnspecified(), a.Is4() && a.As4()[0] == 0:
		return "unspecified"
	case a.IsLoopback():
		return "loopback"
	case a.IsLinkLocalUnicast():
		return "link-local"
	case a.IsMulticast():
		return "multicast"
	case isMetadata(a):
		return "cloud metadata"
	}
	if a.Is4() {
		if a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return "broadcast"
		}
		return ""
	}
	for _, inner := range embedded(a.As16()) {
		if kind := special(netip.AddrFrom4(inner)); kind != "" {
			return kind
		}
	}
	return ""
}

// isMetadata reports whether a is where a cloud gives a machine its secrets. Most clouds use 169.254.169.254, which is link-local.
func isMetadata(a netip.Addr) bool {
	switch a.String() {
	case "100.100.100.200", // Alibaba Cloud
		"168.63.129.16",      // Azure's WireServer
		"192.0.0.192",        // Oracle Cloud, classic
		"fd00:ec2::254",      // AWS
		"fd20:ce::254",       // Google Cloud
		"fd00:42::42",        // Scaleway
		"fd00:c1::a9fe:a9fe": // Oracle Cloud
		return true
	}
	return false
}

// embedded returns the IPv4 addresses that a gateway could take out of an IPv6 address.
func embedded(b [16]byte) [][4]byte {
	last := [4]byte(b[12:16])
	var all [][4]byte
	switch {
	case [12]byte(b[:12]) == [12]byte{}: // ::/96, IPv4-compatible
		all = append(all, last)
	case [12]byte(b[:12]) == [12]byte{8: 0xff, 9: 0xff}: // ::ffff:0:0:0/96, IPv4-translated
		all = append(all, last)
	case [12]byte(b[:12]) == [12]byte{1: 0x64, 2: 0xff, 3: 0x9b}: // 64:ff9b::/96, NAT64
		all = append(all, last)
	case [6]byte(b[:6]) == [6]byte{1: 0x64, 2: 0xff, 3: 0x9b, 5: 1}: // 64:ff9b:1::/48, NAT64
		// The gateway's prefix may be one of /48, /56, /64 and /96; zeros at a place say that it is another one.
		for _, a := range [][4]byte{{b[6], b[7], b[9], b[10]}, {b[7], b[9], b[10], b[11]}, [4]byte(b[9:13]), last} {
			if a[0] != 0 {
				all = append(all, a)
			}
		}
	case [2]byte(b[:2]) == [2]byte{0x20, 0x02}: // 2002::/16, 6to4
		all = append(all, [4]byte(b[2:6]))
	case [4]byte(b[:4]) == [4]byte{0x20, 0x01}: // 2001::/32, Teredo: the server, and the client inverted
		all = append(all, [4]byte(b[4:8]), [4]byte{^last[0], ^last[1], ^last[2], ^last[3]})
	}
	if b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe { // any prefix, then 0:5efe or 200:5efe: ISATAP
		all = append(all, last)
	}
	return all
}
