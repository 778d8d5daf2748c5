package cases

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of a diff.
const (
	maxDiffLines = 200  // that are shown
	maxDiffLine  = 400  // bytes of one
	maxDiffWork  = 2000 // lines that differ; past that what differs is shown as a whole
	diffContext  = 3    // equal lines around what differs
	hexHead      = 64   // bytes around the first that differs
)

// Diff shows how got differs from want: a unified diff of text, the bytes around the first difference of anything else. It is empty when
// both are equal, and bounded.
func Diff(want, got []byte) string {
	switch {
	case bytes.Equal(want, got):
		return ""
	case !isText(want) || !isText(got):
		return hexDiff(want, got)
	}
	return lineDiff(splitLines(string(want)), splitLines(string(got)))
}

// isText tells whether data can be shown as lines.
func isText(data []byte) bool {
	return utf8.Valid(data) && bytes.IndexByte(data, 0) < 0
}

// splitLines splits text into lines with their line ends.
func splitLines(s string) []string {
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// edit is one line of a diff: '-' only in want, '+' only in got, ' ' in both.
type edit struct {
	op   byte
	line string
}

func lineDiff(want, got []string) string {
	start := 0
	for start < len(want) && start < len(got) && want[start] == got[start] {
		start++
	}
	end := 0
	for end < len(want)-start && end < len(got)-start && want[len(want)-1-end] == got[len(got)-1-end] {
		end++
	}
	var edits []edit
	lead := max(0, start-diffContext)
	for _, l := range want[lead:start] {
		edits = append(edits, edit{' ', l})
	}
	edits = append(edits, shortest(want[start:len(want)-end], got[start:len(got)-end])...)
	for _, l := range want[len(want)-end : len(want)-end+min(end, diffContext)] {
		edits = append(edits, edit{' ', l})
	}
	return printEdits(edits, lead)
}

// shortest is a shortest way from want to got, by Myers's algorithm.
func shortest(want, got []string) []edit {
	n, m := len(want), len(got)
	if n == 0 || m == 0 || n+m > 100*maxDiffWork {
		return replaced(want, got)
	}
	limit := min(n+m, maxDiffWork)
	at := make([]int, 2*limit+2) // the furthest x on each diagonal
	var trace [][]int
	for d := range limit + 1 {
		trace = append(trace, append([]int(nil), at[limit-d:limit+d+2]...))
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || k != d && at[limit+k-1] < at[limit+k+1] {
				x = at[limit+k+1]
			} else {
				x = at[limit+k-1] + 1
			}
			for x < n && x-k < m && want[x] == got[x-k] {
				x++
			}
			at[limit+k] = x
			if x >= n && x-k >= m {
				return walkBack(want, got, trace)
			}
		}
	}
	return replaced(want, got)
}

// walkBack finds the edits in what shortest tried.
func walkBack(want, got []string, trace [][]int) []edit {
	x, y := len(want), len(got)
	var back []edit
	for d, reached := range slices.Backward(trace) {
		at := func(k int) int { return reached[d+k] }
		k := x - y
		before := k - 1
		if k == -d || k != d && at(k-1) < at(k+1) {
			before = k + 1
		}
		bx := 0
		if d > 0 {
			bx = at(before)
		}
		by := bx - before
		for x > 0 && y > 0 && (d == 0 || x > bx && y > by) {
			x, y = x-1, y-1
			back = append(back, edit{' ', want[x]})
		}
		if d == 0 {
			break
		}
		if x == bx {
			y--
			back = append(back, edit{'+', got[y]})
		} else {
			x--
			back = append(back, edit{'-', want[x]})
		}
	}
	slices.Reverse(back)
	return back
}

func replaced(want, got []string) []edit {
	var edits []edit
	for _, l := range want {
		edits = append(edits, edit{'-', l})
	}
	for _, l := range got {
		edits = append(edits, edit{'+', l})
	}
	return edits
}

// printEdits writes edits that begin after the line first as hunks.
func printEdits(edits []edit, first int) string {
	var b strings.Builder
	shown, oldLine, newLine := 0, first+1, first+1
	for i := 0; i < len(edits); {
		from, to := hunk(edits, i)
		for ; i < from; i++ { // equal lines that are far from any difference
			oldLine, newLine = oldLine+1, newLine+1
		}
		if from == to {
			break
		}
		olds, news := 0, 0
		for _, e := range edits[from:to] {
			if e.op != '+' {
				olds++
			}
			if e.op != '-' {
				news++
			}
		}
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", oldLine, olds, newLine, news)
		for ; i < to; i++ {
			if shown++; shown > maxDiffLines {
				fmt.Fprintf(&b, "… and %d lines more\n", len(edits)-i)
				return b.String()
			}
			e := edits[i]
			if e.op != '+' {
				oldLine++
			}
			if e.op != '-' {
				newLine++
			}
			writeEdit(&b, e)
		}
	}
	return b.String()
}

// hunk finds the next lines that are shown together, from the edit i on.
func hunk(edits []edit, i int) (from, to int) {
	first := i
	for first < len(edits) && edits[first].op == ' ' {
		first++
	}
	if first == len(edits) {
		return first, first
	}
	last := first
	for j := first; j < len(edits) && j-last <= 2*diffContext; j++ {
		if edits[j].op != ' ' {
			last = j
		}
	}
	return max(i, first-diffContext), min(len(edits), last+1+diffContext)
}

func writeEdit(b *strings.Builder, e edit) {
	text, whole := strings.CutSuffix(e.line, "\n")
	b.WriteByte(e.op)
	if len(text) > maxDiffLine {
		cut := maxDiffLine
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		fmt.Fprintf(b, "%s… (%d bytes)", text[:cut], len(text))
	} else {
		b.WriteString(text)
	}
	b.WriteByte('\n')
	if !whole {
		b.WriteString("\\ no line break at the end\n")
	}
}

// hexDiff shows where bytes begin to differ.
func hexDiff(want, got []byte) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	from := at &^ 15
	part := func(data []byte) string {
		if from >= len(data) {
			return "(ends)"
		}
		return fmt.Sprintf("% x", data[from:min(len(data), from+hexHead)])
	}
	return fmt.Sprintf("binary: %d bytes and %d bytes, which differ from byte %d on; from byte %d:\n-%s\n+%s\n",
		len(want), len(got), at, from, part(want), part(got))
}
