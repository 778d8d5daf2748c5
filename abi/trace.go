package abi

// Trace is a place in a trace, as the header traceparent of W3C Trace Context names it.
type Trace struct {
	ID      string // of the trace: 32 lower-case hexadecimal digits
	Span    string // of the caller's span: 16 of them
	Sampled bool   // the caller records it
}

// MaxTraceParent bounds a traceparent, in bytes: later versions of the header may say more than version 0.
const MaxTraceParent = 128

const traceParentLen = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")

// ParseTraceParent reads a traceparent. Of a version that it does not know it takes what version 0 has.
func ParseTraceParent(s string) (t Trace, ok bool) {
	switch {
	case len(s) < traceParentLen || len(s) > MaxTraceParent:
		return t, false
	case len(s) > traceParentLen && (s[:2] == "00" || s[traceParentLen] != '-'):
		return t, false
	case s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff":
		return t, false
	case !lowerHex(s[:2]) || !lowerHex(s[3:35]) || !lowerHex(s[36:52]) || !lowerHex(s[53:55]) || !plainASCII(s[traceParentLen:]):
		return t, false
	}
	t = Trace{ID: s[3:35], Span: s[36:52], Sampled: hexDigit(s[54])&1 == 1}
	return t, !zeros(t.ID) && !zeros(t.Span)
}

// String is the traceparent, in version 0.
func (t Trace) String() string {
	if t.Sampled {
		return "00-" + t.ID + "-" + t.Span + "-01"
	}
	return "00-" + t.ID + "-" + t.Span + "-00"
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return false
		}
	}
	return true
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
