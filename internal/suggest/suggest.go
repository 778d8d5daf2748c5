// Package suggest finds the name that somebody may have meant.
package suggest

import "fmt"

// DidYouMean names the candidate that is most like name, when one is: "; did you mean NAME?", else nothing.
func DidYouMean(name string, candidates []string) string {
	best, least := "", 1<<30
	for _, c := range candidates {
		if d := distance(name, c); d < least {
			best, least = c, d
		}
	}
	if best == "" || !Close(name, best) {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// Close tells whether one name may be the other with a slip of the finger.
func Close(a, b string) bool { return distance(a, b) <= max(1, min(len(a), len(b))/3) }

// distance is the number of single-byte edits between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
