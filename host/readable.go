package host

import (
	"strconv"
	"strings"
)

// readableName is a function's name as its author wrote it, as far as that is simple: the path in a mangled name of Rust, without its
// hash, or of C++, without its parameters. Others stay as they are.
func readableName(name string) string {
	rest, ok := strings.CutPrefix(name, "_ZN")
	if !ok {
		if rest, ok = strings.CutPrefix(name, "_Z"); !ok {
			return name
		}
		part, _, ok := lengthPrefixed(rest)
		if !ok {
			return name
		}
		return part
	}
	rest = strings.TrimLeft(rest, "KVr") // a const method
	var parts []string
	for rest != "" && rest[0] != 'E' {
		part, after, ok := lengthPrefixed(rest)
		if !ok {
			return name
		}
		parts, rest = append(parts, part), after
	}
	if len(parts) == 0 || rest == "" {
		return name
	}
	if n := len(parts) - 1; n > 0 && rustHash(parts[n]) {
		parts = parts[:n]
		for k := range parts {
			parts[k] = rustPart(parts[k])
		}
	}
	return strings.Join(parts, "::")
}

// lengthPrefixed takes a name off that stands behind its length.
func lengthPrefixed(s string) (name, rest string, ok bool) {
	k := 0
	for k < len(s) && k < 5 && s[k] >= '0' && s[k] <= '9' {
		k++
	}
	n, err := strconv.Atoi(s[:k])
	if err != nil || n == 0 || n > len(s)-k {
		return "", "", false
	}
	return s[k : k+n], s[k+n:], true
}

func rustHash(s string) bool {
	return len(s) == 17 && s[0] == 'h' && strings.Trim(s[1:], "0123456789abcdef") == ""
}

var rustEscapes = strings.NewReplacer("$SP$", "@", "$BP$", "*", "$RF$", "&", "$LT$", "<", "$GT$", ">", "$LP$", "(", "$RP$", ")", "$C$", ",",
	"$u7e$", "~", "$u20$", " ", "$u27$", "'", "$u5b$", "[", "$u5d$", "]", "$u7b$", "{", "$u7d$", "}", "$u3b$", ";", "$u2b$", "+", "$u22$", `"`,
	"..", "::")

// rustPart takes the escapes out of a part of a path.
func rustPart(s string) string {
	if strings.HasPrefix(s, "_$") {
		s = s[1:]
	}
	return rustEscapes.Replace(s)
}
