// Package words generates text that is the same in every run, for the programs beside it.
package words

import "strings"

var list = strings.Fields(`a sandbox task that runs in time and ends with its result is one you can watch or cancel while memory stays
	bounded for the guest code of any plugin which writes bytes into pages Größe naïve 世界`)

// Source is a small generator of numbers. The zero value is one.
type Source uint32

// N returns a number from 0 to n-1.
func (s *Source) N(n int) int {
	*s = *s*1664525 + 1013904223
	return int(uint64(*s) * uint64(n) >> 32)
}

// Word returns a word.
func (s *Source) Word() string { return list[s.N(len(list))] }

// Phrase returns n words.
func (s *Source) Phrase(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = s.Word()
	}
	return strings.Join(words, " ")
}
