package egress

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// parseMethod checks a method and puts it into upper case.
func parseMethod(method string) (string, error) {
	if method == "" {
		return http.MethodGet, nil
	}
	method = strings.ToUpper(method)
	if !token(method) {
		return "", abi.Errorf(abi.CodeInvalid, "http_request: %q is not a method", method)
	}
	if method == http.MethodConnect {
		return "", abi.Errorf(abi.CodeInvalid, "http_request: the method CONNECT is for proxies")
	}
	return method, nil
}

// parseHeaders checks the headers of a request and leaves out those that are not the guest's to set.
func parseHeaders(in map[string]string) (http.Header, error) {
	out := make(http.Header, len(in))
	size := 0
	for _, name := range slices.Sorted(maps.Keys(in)) {
		value := in[name]
		if !token(name) {
			return nil, abi.Errorf(abi.CodeInvalid, "http_request: %q is not the name of a header", name)
		}
		if !fieldValue(value) {
			return nil, abi.Errorf(abi.CodeInvalid, "http_request: the value of header %q has a control character in it", name)
		}
		if size += len(name) + len(value); size > maxRequestHeader {
			return nil, abi.Errorf(abi.CodeInvalid, "http_request: the headers are larger than %d bytes", maxRequestHeader)
		}
		if _, twice := out[http.CanonicalHeaderKey(name)]; twice {
			return nil, abi.Errorf(abi.CodeInvalid, "http_request: header %q is there twice", name)
		}
		out.Set(name, value)
	}
	for named := range strings.SplitSeq(out.Get("Connection"), ",") {
		out.Del(textproto.TrimString(named))
	}
	for name := range out {
		if connectionHeader(name) {
			delete(out, name)
		}
	}
	return out, nil
}

// connectionHeader reports whether a header, by its canonical name, belongs to one connection or is net/http's to write.
func connectionHeader(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Content-Length", "Host":
		return true
	}
	return strings.HasPrefix(name, "Proxy-")
}

// token reports whether s is a token of RFC 9110.
func token(s string) bool {
	for i := range len(s) {
		b := s[i]
		letter := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(b)) {
			return false
		}
	}
	return s != ""
}

// fieldValue reports whether s may be the value of a header.
func fieldValue(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}
