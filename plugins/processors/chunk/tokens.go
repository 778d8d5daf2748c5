package main

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// maxUnit is the most tokens of one unit. A longer word is cut.
const maxUnit = 16

// unit is the smallest part that a chunk is made of: a word with the signs around it and the white space after it, and with the
// indentation of its line. In scripts that have no spaces it is a character. All units together are the text.
type unit struct {
	start, end int
	tokens     int
	level      int // of the boundary before it
}

// Levels of boundaries.
const (
	word = iota
	newline
	sentence
	paragraph
	section // in headings alone
)

// class is a class of characters, as far as the estimate tells them apart.
type class int

const (
	space  class = iota
	latin        // letters of the Latin script, with marks
	letter       // of other scripts
	hangul
	wide // characters of scripts without spaces between words
	digit
	sign // everything else
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			return latin
		case r >= '0' && r <= '9':
			return digit
		case r == ' ', r >= '\t' && r <= '\r':
			return space
		}
		return sign
	case unicode.IsSpace(r):
		return space
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		return wide
	case unicode.Is(unicode.Hangul, r):
		return hangul
	case unicode.Is(unicode.Latin, r):
		return latin
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return digit
	}
	return sign
}

// perToken is how many characters of a run of one class are a token, the first one aside; see docs/processors.md for how near that is.
var perToken = [...]int{latin: 7, letter: 3, hangul: 1, wide: 1, digit: 3, sign: 2}

// estimate is the number of tokens of a run of n characters of a class.
func estimate(c class, n int) int {
	if c == space {
		return 0
	}
	return (n + perToken[c] - 1) / perToken[c]
}

// unitsOf cuts a text into units.
func unitsOf(text []byte) []unit {
	units := make([]unit, 0, len(text)/6+1)
	for at := 0; at < len(text); {
		u := unit{start: at}
		at = u.scan(text)
		u.end = at
		units = append(units, u)
	}
	return units
}

// scan finds the end of a unit that begins at u.start, and its tokens.
func (u *unit) scan(text []byte) int {
	at := skip(text, u.start)
	run, length, whole := space, 0, 0 // whole: tokens of the runs before this one
	hasWide, hasWord := false, false
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		c := classOf(r)
		if run != space && (unicode.IsMark(r) || r == '\u200d') { // belongs to the character before it
			c = run
		} else if c == wide && (hasWide || hasWord) || c != wide && c != sign && hasWide {
			break
		}
		if c == space {
			break
		}
		hasWide = hasWide || c == wide
		hasWord = hasWord || c != wide && c != sign
		if c == run {
			length++
		} else {
			whole, run, length = whole+estimate(run, length), c, 1
		}
		if tokens := whole + estimate(run, length); tokens <= maxUnit {
			u.tokens = tokens
		} else {
			return at
		}
		at += n
	}
	end := skip(text, at)
	if line := bytes.LastIndexByte(text[at:end], '\n'); line >= 0 && end < len(text) {
		return at + line + 1 // the indentation of the next line belongs to what follows
	}
	return end
}

// skip returns the end of the white space from at on.
func skip(text []byte, at int) int {
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if classOf(r) != space {
			break
		}
		at += n
	}
	return at
}
