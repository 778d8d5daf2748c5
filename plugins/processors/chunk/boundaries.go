package main

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// mark sets the level of the boundary before each unit, but for sections.
func mark(text []byte, units []unit) {
	for i := 1; i < len(units); i++ {
		before := text[units[i-1].start:units[i].start]
		body := bytes.TrimRight(before, " \t\r\n\u00a0")
		gap := before[len(body):]
		switch {
		case bytes.Count(gap, []byte("\n")) >= 2:
			units[i].level = paragraph
		case endsSentence(body, len(gap) > 0) && !goesOn(text[units[i].start:]):
			units[i].level = sentence
		case bytes.Contains(gap, []byte("\n")):
			units[i].level = newline
		}
	}
}

// endsSentence tells whether a word is the last of a sentence: it ends in a sign for that, quotes and brackets aside, and is no
// abbreviation.
func endsSentence(word []byte, spaced bool) bool {
	core := strings.TrimRight(string(word), "\"'”’»)]}*_`")
	last, n := utf8.DecodeLastRuneInString(core)
	switch last {
	case '。', '！', '？', '…', '．':
		return true
	case '!', '?', '؟', '।':
		return spaced
	case '.':
	default:
		return false
	}
	core = strings.TrimLeft(core[:len(core)-n], "\"'“‘«([{*_`")
	return spaced && !abbreviations[strings.ToLower(core)] && !(utf8.RuneCountInString(core) == 1 && strings.ToUpper(core) == core && strings.ToLower(core) != core)
}

// goesOn tells whether a text goes on in the middle of a sentence, with a small letter.
func goesOn(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\"'“‘«([")
	r, _ := utf8.DecodeRune(text)
	return r >= 'a' && r <= 'z'
}

// abbreviations are words whose full stop mostly ends no sentence.
var abbreviations = func() map[string]bool {
	found := map[string]bool{}
	for w := range strings.FieldsSeq(`mr mrs ms dr prof st sr jr no nos vol fig figs eq ca cf e.g i.e etc vs al approx dept est inc ltd co corp ed eds pp p
		z.b d.h u.a usw bzw nr str bspw ggf m.e abs art hr fr p.ex c.-à-d mme mlle av pág sra dra ud uds a.m p.m u.s jan feb mar apr jun jul aug sep sept oct nov dec`) {
		found[w] = true
	}
	return found
}()

// heading is a heading of a Markdown document.
type heading struct {
	start, end int // of its lines
	level      int
	text       string
}

// headingsOf finds the headings of a Markdown document: lines that begin with # and lines that are underlined with === or ---, outside
// of fenced code.
func headingsOf(text []byte) []heading {
	var found []heading
	var previous []byte // the line before, if it is a paragraph of one line so far
	var fence []byte    // what closes the code
	at, previousAt := 0, 0
	for line := range bytes.Lines(text) {
		start := at
		at += len(line)
		line = bytes.TrimRight(line, " \t\r\n")
		content := bytes.TrimLeft(line, " ")
		indented := len(line)-len(content) > 3
		alone := previous
		previous = nil
		switch {
		case fence != nil:
			if bytes.HasPrefix(content, fence) && len(bytes.Trim(content, string(fence[:1]))) == 0 {
				fence = nil
			}
		case !indented && (bytes.HasPrefix(content, []byte("```")) || bytes.HasPrefix(content, []byte("~~~"))):
			n := len(content) - len(bytes.TrimLeft(content, string(content[:1])))
			fence = content[:n]
		case indented:
		case isHashes(content) > 0:
			level := isHashes(content)
			found = append(found, heading{start, at, level, strings.TrimSpace(strings.TrimRight(string(content[level:]), "# "))})
		case alone != nil && len(content) >= 2 && len(bytes.Trim(content, "=")) == 0:
			found = append(found, heading{previousAt, at, 1, string(alone)})
		case alone != nil && len(content) >= 2 && len(bytes.Trim(content, "-")) == 0:
			found = append(found, heading{previousAt, at, 2, string(alone)})
		case len(content) > 0 && !bytes.ContainsAny(content[:1], ">-+*|<") && isStart(text, start):
			previous, previousAt = content, start
		}
	}
	return found
}

// isHashes returns the level of a heading that a line is, or 0.
func isHashes(line []byte) int {
	n := len(line) - len(bytes.TrimLeft(line, "#"))
	if n > 6 || n < len(line) && line[n] != ' ' && line[n] != '\t' {
		return 0
	}
	return n
}

// isStart tells whether a paragraph can begin at a line: at the beginning, or after a blank line.
func isStart(text []byte, start int) bool {
	before := bytes.TrimRight(text[:start], " \t\r")
	if !bytes.HasSuffix(before, []byte("\n")) {
		return len(before) == 0
	}
	before = bytes.TrimRight(before[:len(before)-1], " \t\r")
	return len(before) == 0 || bytes.HasSuffix(before, []byte("\n"))
}
