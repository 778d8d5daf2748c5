// gojq: an interpreter in Go runs a query that filters, groups, adds up and sorts a document.
package main

import (
	"fmt"
	"slices"

	"github.com/itchyny/gojq"

	"github.com/taskhost/taskhost/bench/programs/words"
)

const query = `
	map(select(.age >= 18 and (.name | test("^[a-m]"))))
	| group_by(.city)
	| map("\(.[0].city) \(length) \(map(.age) | add) \([.[].scores[] | . * 2] | max)")
	| sort
	| .[]`

var document, want = generate(300)

// city is what the query finds out about each.
type city struct{ people, age, best int }

// generate returns a document and what the query makes of it.
func generate(n int) (document []any, want []string) {
	var s words.Source
	cities := map[string]city{}
	for range n {
		name, at, age := s.Phrase(2), s.Word(), s.N(90)
		best := 0
		scores := make([]any, 8)
		for i := range scores {
			n := s.N(1000)
			scores[i], best = n, max(best, n)
		}
		document = append(document, map[string]any{"name": name, "city": at, "age": age, "scores": scores})
		if age >= 18 && 'a' <= name[0] && name[0] <= 'm' {
			c := cities[at]
			cities[at] = city{c.people + 1, c.age + age, max(c.best, 2*best)}
		}
	}
	for name, c := range cities {
		want = append(want, fmt.Sprint(name, " ", c.people, " ", c.age, " ", c.best))
	}
	slices.Sort(want)
	return document, want
}

//go:wasmexport run
func run() int32 {
	q, err := gojq.Parse(query)
	if err != nil {
		return 1
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return 2
	}
	results := code.Run(document)
	for _, w := range want {
		if got, ok := results.Next(); !ok || got != w {
			return 3
		}
	}
	if _, more := results.Next(); more {
		return 4
	}
	return 0
}

func main() {}
