package symbol

import (
	"strings"
	"unicode"

	"github.com/ianlancetaylor/demangle"
)

// maxName bounds names and paths, in bytes; what is longer is cut. maxMangled is the longest name that is taken apart.
const (
	maxName    = 160
	maxMangled = 4 << 10
)

// Demangle is a linker's name as the source has it, without parameters: of C++ and of Rust, both of its schemes. Any other name is what it
// was. The result is clean and short.
func Demangle(name string) (out string) {
	defer func() {
		if recover() != nil {
			out = Clean(name)
		}
	}()
	if len(name) <= maxMangled && mangled(name) {
		if s, err := demangle.ToString(name, demangle.NoParams, demangle.NoClones, demangle.LLVMStyle); err == nil {
			name = s
		}
	}
	return Clean(withoutParams(withoutHash(name)))
}

// withoutParams takes the parameters off a C++ function that the linker has demangled, such as area(int) const.
func withoutParams(name string) string {
	plain := strings.TrimSuffix(name, " const")
	if !strings.HasSuffix(plain, ")") {
		return name
	}
	open := 0
	for i := len(plain) - 1; i > 0; i-- {
		switch plain[i] {
		case ')':
			open++
		case '(':
			if open--; open == 0 && !strings.HasSuffix(plain[:i], "operator") {
				return plain[:i]
			}
		}
	}
	return name
}

func mangled(name string) bool {
	return strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "__Z") || strings.HasPrefix(name, "_R")
}

// withoutHash takes the hash off that Rust's older scheme puts behind every name, such as ::h05af221e174051e9.
func withoutHash(name string) string {
	const size = len("::h05af221e174051e9")
	at := len(name) - size
	if at <= 0 || !strings.HasPrefix(name[at:], "::h") {
		return name
	}
	for _, c := range name[at+len("::h"):] {
		if !strings.ContainsRune("0123456789abcdef", c) {
			return name
		}
	}
	return name[:at]
}

// Clean is s as one line of valid UTF-8 that a terminal can be shown, cut to a bound.
func Clean(s string) string {
	if len(s) > maxName { // before the rest, which allocates
		cut := s[:maxName]
		for len(cut) > 0 && len(cut) > maxName-4 && s[len(cut)]&0xc0 == 0x80 {
			cut = cut[:len(cut)-1]
		}
		s = cut + "…"
	}
	return Printable(s)
}

// Printable is s as one line of valid UTF-8 that a terminal can be shown.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
