package main

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// dropBlank removes blank lines.
func dropBlank(text string) string {
	return eachLine(text, func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
	})
}

// squeeze makes one space of each run of white space within a line, and removes it at both ends.
func squeeze(text string) string {
	return eachLine(text, func(lines []string) []string {
		for i := range lines {
			lines[i] = strings.Join(strings.Fields(lines[i]), " ")
		}
		return lines
	})
}

// dedent removes the white space that all lines begin with, blank ones aside, which it empties.
func dedent(text string) string {
	return eachLine(text, func(lines []string) []string {
		margin, found := "", false
		for _, line := range lines {
			content := strings.TrimLeft(line, " \t")
			if content == "" || content == "\r" {
				continue
			}
			own := line[:len(line)-len(content)]
			if !found {
				margin, found = own, true
			}
			for !strings.HasPrefix(own, margin) {
				margin = margin[:len(margin)-1]
			}
		}
		for i, line := range lines {
			if rest, ok := strings.CutPrefix(line, margin); ok {
				lines[i] = rest
			} else {
				lines[i] = ""
			}
		}
		return lines
	})
}

// indent puts n spaces before each line that is not blank.
func indent(text string, n int) string {
	margin := strings.Repeat(" ", n)
	return eachLine(text, func(lines []string) []string {
		for i, line := range lines {
			if strings.TrimSpace(line) != "" {
				lines[i] = margin + line
			}
		}
		return lines
	})
}

// unaccent removes the marks of Latin, Greek and Cyrillic letters: "é" is "e". Letters of their own, such as "ø" and "ß", stay, and so do
// the marks of other scripts, which are more than an accent there.
func unaccent(text string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36f {
			return -1
		}
		return r
	}, norm.NFD.String(text)))
}

// slug makes each line what fits into an address: lower case, letters and digits without marks, single dashes for all else.
func slug(text string) string {
	return eachLine(strings.ToLower(unaccent(text)), func(lines []string) []string {
		for i, line := range lines {
			words := strings.FieldsFunc(line, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
			lines[i] = strings.Join(words, "-")
		}
		return lines
	})
}
