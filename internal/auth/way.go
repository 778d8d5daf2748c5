package auth

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// local refuses requests to a server without tokens that did not come from a program of this machine that means this server: pages of
// other sites that let their own name point here (DNS rebinding), and what a proxy passes on.
func local(r *http.Request) (status int, why string) {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return http.StatusForbidden, "the request came through a proxy (" + h + "), and this server has no tokens: make one with taskhost token create"
		}
	}
	addr, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if addr != nil && addr.Network() == "unix" {
		return 0, ""
	}
	if addr != nil {
		if at, err := netip.ParseAddrPort(addr.String()); err == nil && !at.Addr().Unmap().IsLoopback() {
			return http.StatusForbidden, "this server has no tokens, so it answers on loopback addresses alone"
		}
	}
	if !LoopbackHost(r.Host) {
		return http.StatusMisdirectedRequest, "this server has no tokens, so it answers to localhost, 127.0.0.1 and [::1] alone, not to " + strings.ToValidUTF8(r.Host, "?")
	}
	return 0, ""
}

// LoopbackHost tells whether a host, with or without a port, names this machine's loopback interface by itself.
func LoopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// behindProxy puts the address of the client in the place of that of a trusted proxy.
func (a *Authenticator) behindProxy(r *http.Request) {
	if len(a.cfg.TrustedProxies) == 0 || !a.trusted(address(r)) {
		r.Header.Del("X-Forwarded-Proto") // nobody we know says so
		return
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		ip, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return
		}
		r.RemoteAddr = netip.AddrPortFrom(ip, 0).String()
		if !a.trusted(ip) {
			return
		}
	}
}

func (a *Authenticator) trusted(ip netip.Addr) bool {
	return slices.ContainsFunc(a.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

// encrypted tells whether the client speaks TLS, with us or with a proxy that is trusted.
func encrypted(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// address is where a request comes from. Requests over a unix socket share the zero address.
func address(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	return at.Addr().Unmap()
}

// addressText is address as the log shows it.
func addressText(r *http.Request) string {
	if a := address(r); !a.IsUnspecified() {
		return a.String()
	}
	return "unix socket"
}

// refuse answers with problem+json, in the form that the whole API has.
func refuse(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}{"about:blank", http.StatusText(status), status, detail, "denied"})
	if err != nil {
		http.Error(w, detail, status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
