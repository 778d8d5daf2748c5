package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wrap breaks lines that are longer than width characters at white space. It never joins lines, and keeps what Markdown means: code,
// tables, headings and verbatim HTML are not broken, what follows a list marker or quote sign goes on under it, and no line begins
// with what would be such a sign. A word that is longer than a line has one for itself.
func wrap(text string, width int) string {
	var code verbatim
	return eachLine(text, func(lines []string) []string {
		var out []string
		for _, line := range lines {
			if code.line(line) || utf8.RuneCountInString(line) <= width || !breakable(line) {
				out = append(out, line)
				continue
			}
			out = append(out, wrapLine(line, width)...)
		}
		return out
	})
}

func breakable(line string) bool {
	content := strings.TrimLeft(line, " >")
	if marker, text, found := strings.Cut(content, " "); found && isMarker(marker) && strings.HasPrefix(text, "    ") {
		return false // code in a list item
	}
	return !indented(line) && !strings.HasPrefix(content, "#") && !strings.HasPrefix(content, "|") &&
		!strings.HasPrefix(content, "[") && !strings.HasPrefix(content, "<") && !strings.Contains(line, " | ")
}

func wrapLine(line string, width int) []string {
	first, rest := prefixes(line)
	hardBreak := ""
	if strings.HasSuffix(line, "  ") {
		hardBreak = "  "
	}
	var out []string
	current, length := first, utf8.RuneCountInString(first)
	empty := true
	for word := range strings.FieldsSeq(line[len(first):]) {
		n := utf8.RuneCountInString(word)
		if !empty && length+1+n > width && !isSign(word) {
			out = append(out, current)
			current, length, empty = rest, utf8.RuneCountInString(rest), true
		}
		if !empty {
			current += " "
			length++
		}
		current += word
		length += n
		empty = false
	}
	return append(out, current+hardBreak)
}

// prefixes returns what a line begins with before its text, and what the lines begin with that go on with it.
func prefixes(line string) (first, rest string) {
	n := len(line) - len(strings.TrimLeft(line, " >"))
	first, rest = line[:n], line[:n]
	marker, text, found := strings.Cut(line[n:], " ")
	if found && isMarker(marker) && strings.TrimSpace(text) != "" {
		marker += line[n+len(marker) : len(line)-len(strings.TrimLeft(text, " "))]
		first += marker
		rest += strings.Repeat(" ", len(marker))
	}
	return first, rest
}

// isMarker tells whether a word before a space begins a list item.
func isMarker(word string) bool {
	return word == "-" || word == "+" || word == "*" || word != "" && word[0] >= '0' && word[0] <= '9' && isSign(word)
}

// isSign tells whether a word means something at the beginning of a line.
func isSign(word string) bool {
	switch first, _ := utf8.DecodeRuneInString(word); {
	case strings.Trim(word, "-") == "", strings.Trim(word, "=") == "", strings.Trim(word, "#") == "", word == "+", strings.Trim(word, "*") == "",
		strings.Trim(word, "_") == "":
		return true
	case strings.ContainsRune(">|:<[", first), strings.HasPrefix(word, "```"), strings.HasPrefix(word, "~~~"):
		return true
	case unicode.IsDigit(first):
		digits := strings.TrimRight(word, ".)")
		return len(digits) == len(word)-1 && strings.Trim(digits, "0123456789") == ""
	}
	return false
}
