package main

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// splitSentences finds the sentences of a text, with the white space in each made single spaces. A sentence ends with a full stop,
// question or exclamation mark (of Latin, CJK, Arabic and Devanagari scripts) that is followed by space and does not belong to an
// abbreviation, an initial or a number; and at the end of a paragraph. Markdown headings, rules, tables and fenced code are left out.
func splitSentences(text string) []string {
	var sentences []string
	for _, paragraph := range paragraphs(text) {
		rest := paragraph
		for rest != "" {
			n := sentenceEnd(rest)
			if s := strings.TrimSpace(rest[:n]); s != "" {
				sentences = append(sentences, s)
			}
			rest = rest[n:]
		}
	}
	return sentences
}

// paragraphs returns the blocks of prose, each on one line.
func paragraphs(text string) []string {
	var found []string
	var current []string
	end := func() {
		if len(current) > 0 {
			found = append(found, strings.Join(current, " "))
			current = nil
		}
	}
	fence := ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		joined := strings.Join(words, " ")
		switch {
		case fence != "":
			if strings.HasPrefix(joined, fence) {
				fence = ""
			}
		case strings.HasPrefix(joined, "```") || strings.HasPrefix(joined, "~~~"):
			end()
			fence = joined[:3]
		case len(words) == 0, words[0] == "|" || strings.HasPrefix(words[0], "|"), strings.Trim(words[0], "#") == "":
			end()
		case strings.Trim(joined, "-=*_ ") == "":
			end()
		case isListItem(words):
			end()
			current = append(current, strings.Join(words[1:], " "))
		default:
			current = append(current, joined)
		}
	}
	end()
	return found
}

func isListItem(words []string) bool {
	if len(words) < 2 {
		return false
	}
	switch w := words[0]; w {
	case "-", "*", "+", "•":
		return true
	default:
		digits := strings.TrimRight(w, ".)")
		return len(digits) == len(w)-1 && len(digits) < 4 && strings.Trim(digits, "0123456789") == ""
	}
}

// sentenceEnd returns the length of the first sentence of s, the space after it included.
func sentenceEnd(s string) int {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		start := i
		i += size
		switch r {
		case '。', '！', '？', '｡':
			return i
		case '.', '!', '?', '…', '؟', '।', '۔':
		default:
			continue
		}
		end := i + closing(s[i:])
		if end == len(s) {
			return end
		}
		dots := strings.Trim(s[start:end], ".…") == ""
		switch {
		case !strings.HasPrefix(s[end:], " "):
		case dots && goesOn(s[end+1:]):
		case r == '.' && end == i && abbreviated(s[:start]):
		default:
			return end + 1
		}
	}
	return len(s)
}

// closing is the length of the marks, quotes and brackets that s begins with and that belong to the sentence before.
func closing(s string) int {
	return len(s) - len(strings.TrimLeft(s, `.!?…"'”’»)]`))
}

// abbreviations are words before a full stop that is not the end of a sentence.
var abbreviations = sync.OnceValue(func() map[string]bool {
	return wordSet(`mr mrs ms dr prof sr jr st vs etc cf fig figs eq no vol pp ed eds al inc ltd co corp dept est approx
	capt col gen gov hon lt maj rev sen sgt jan feb mar apr jun jul aug sep sept oct nov dec bzw ca usw evtl ggf nr abs mme mlle sra`)
})

// goesOn tells whether what follows a full stop is the same sentence, as in "e.g. this".
func goesOn(after string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(after, `"'“‘«([`))
	return unicode.IsLower(r)
}

// abbreviated tells whether a full stop after this text belongs to an abbreviation or an initial.
func abbreviated(before string) bool {
	word := before[strings.LastIndexAny(before, " (\"'“‘")+1:]
	first, size := utf8.DecodeRuneInString(word)
	switch {
	case size == len(word) && unicode.IsUpper(first):
		return word != "I"
	case strings.Contains(word, "."): // "U.S." and "H.M.S." are, "3.5" and "file.go" are not
		for part := range strings.SplitSeq(word, ".") {
			if r, size := utf8.DecodeRuneInString(part); size < len(part) || unicode.IsDigit(r) {
				return false
			}
		}
		return true
	}
	return abbreviations()[strings.ToLower(word)]
}

// splitWords returns the words of a sentence in lower case.
func splitWords(s string) []string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) && r != '\'' && r != '’'
	})
	for i, w := range words {
		w = strings.Trim(w, "'’")
		if before, found := strings.CutSuffix(w, "'s"); found {
			w = before
		}
		if before, found := strings.CutSuffix(w, "’s"); found {
			w = before
		}
		words[i] = w
	}
	return words
}

// stem makes the plural and the singular of a word the same, roughly.
func stem(w string) string {
	switch {
	case len(w) > 5 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 4 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "is"):
		return w[:len(w)-1]
	}
	return w
}
