package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// eachLine changes the lines of a text; a line break at the end of the text stays.
func eachLine(text string, f func(lines []string) []string) string {
	if text == "" {
		return ""
	}
	body, ended := strings.CutSuffix(text, "\n")
	text = strings.Join(f(strings.Split(body, "\n")), "\n")
	if ended && text != "" {
		text += "\n"
	}
	return text
}

// trimLines removes white space at both ends of each line, and blank lines at both ends of the text.
func trimLines(text string) string {
	return eachLine(text, func(lines []string) []string {
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		for len(lines) > 0 && lines[0] == "" {
			lines = lines[1:]
		}
		for len(lines) > 0 && lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		return lines
	})
}

// dedupe keeps the first of lines that are the same, wherever they stand; blank lines all stay.
func dedupe(text string) string {
	return eachLine(text, func(lines []string) []string {
		seen := make(map[string]bool, len(lines))
		return slices.DeleteFunc(lines, func(line string) bool {
			again := seen[line] && strings.TrimSpace(line) != ""
			seen[line] = true
			return again
		})
	})
}

// sortLines sorts the lines by their bytes.
func sortLines(text string) string {
	return eachLine(text, func(lines []string) []string { slices.Sort(lines); return lines })
}

func reverseLines(text string) string {
	return eachLine(text, func(lines []string) []string { slices.Reverse(lines); return lines })
}

// numberLines puts the number of each line before it, in a column.
func numberLines(text string) string {
	return eachLine(text, func(lines []string) []string {
		width := len(strconv.Itoa(len(lines)))
		for i, line := range lines {
			n := strconv.Itoa(i + 1)
			lines[i] = strings.Repeat(" ", width-len(n)) + n + "  " + line
		}
		return lines
	})
}

func head(text string, n int) string {
	return eachLine(text, func(lines []string) []string { return lines[:min(n, len(lines))] })
}

func tail(text string, n int) string {
	return eachLine(text, func(lines []string) []string { return lines[max(0, len(lines)-n):] })
}

// title makes the first letter of each word a capital one and leaves the others as they are: "don't use NASA's" is "Don't Use NASA's".
func title(text string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) && !inWord:
			inWord = true
			return unicode.ToTitle(r)
		case !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && r != '\'' && r != '’':
			inWord = false
		case unicode.IsNumber(r): // "3d" stays
			inWord = true
		}
		return r
	}, text)
}

// truncate cuts a text to n characters, an ellipsis included, at the end of a word when one ends in the second half.
// Marks stay with the character that they belong to.
func truncate(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	cut := 0
	for range n - 1 {
		_, size := utf8.DecodeRuneInString(text[cut:])
		cut += size
	}
	next := func() rune { r, _ := utf8.DecodeRuneInString(text[cut:]); return r }
	for cut > 0 && (unicode.IsMark(next()) || next() == '\u200d') {
		_, size := utf8.DecodeLastRuneInString(text[:cut])
		cut -= size
	}
	if space := strings.LastIndexFunc(text[:cut], unicode.IsSpace); space > cut/2 && !unicode.IsSpace(next()) {
		cut = space
	}
	return strings.TrimRightFunc(text[:cut], unicode.IsSpace) + "…"
}

// count says how long a text is, as a JSON object.
func count(text string) string {
	var c struct {
		Bytes      int `json:"bytes"`
		Characters int `json:"characters"` // Unicode code points
		Words      int `json:"words"`      // with at least one letter or digit, between white space
		Lines      int `json:"lines"`
		Paragraphs int `json:"paragraphs"` // runs of lines that are not blank
		Longest    int `json:"longest_line"`
	}
	c.Bytes = len(text)
	between := true
	for line := range strings.Lines(text) {
		c.Lines++
		c.Characters += utf8.RuneCountInString(line)
		line = strings.TrimRight(line, "\r\n")
		c.Longest = max(c.Longest, utf8.RuneCountInString(line))
		words := strings.Fields(line)
		if between && len(words) > 0 {
			c.Paragraphs++
		}
		between = len(words) == 0
		for _, w := range words {
			if strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
				c.Words++
			}
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of numbers
	}
	return string(b) + "\n"
}
