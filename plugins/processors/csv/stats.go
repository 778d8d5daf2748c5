package main

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// maxDistinct bounds how many different values of a column are counted.
const maxDistinct = 10_000

// column is what stats says about a column.
type column struct {
	Name     string   `json:"name"`
	Empty    int      `json:"empty"`
	Distinct *int     `json:"distinct,omitempty"` // different values that are not empty; left out when there are more than maxDistinct
	Longest  int      `json:"longest"`            // bytes
	First    string   `json:"first"`              // in the order of text; values that are not empty
	Last     string   `json:"last"`
	Numbers  int      `json:"numbers"` // values that are numbers
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
	Mean     *float64 `json:"mean,omitempty"`
	Sum      *float64 `json:"sum,omitempty"`

	seen map[string]struct{}
	sum  float64
	lost float64 // what rounding took from sum
}

// statistics sums up each column, as a JSON object.
func statistics(source []byte) ([]byte, error) {
	t, err := open(source)
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(t.columns))
	for i, name := range t.columns {
		columns[i] = column{Name: name, seen: map[string]struct{}{}}
	}
	err = t.each(func(row []string) error {
		for i, field := range row {
			columns[i].add(field)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range columns {
		columns[i].end()
	}
	b, err := json.MarshalIndent(struct {
		Rows    int      `json:"rows"`
		Columns []column `json:"columns"`
	}{t.rows, columns}, "", "  ")
	return append(b, '\n'), err
}

func (c *column) add(field string) {
	if field == "" {
		c.Empty++
		return
	}
	c.Longest = max(c.Longest, len(field))
	if c.seen != nil {
		// The row is one string: its fields are cloned, or all of it would stay.
		if _, again := c.seen[field]; !again {
			c.seen[strings.Clone(field)] = struct{}{}
		}
		if len(c.seen) > maxDistinct {
			c.seen = nil
		}
	}
	if c.First == "" || field < c.First {
		c.First = strings.Clone(field)
	}
	if field > c.Last {
		c.Last = strings.Clone(field)
	}
	n, err := strconv.ParseFloat(field, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return
	}
	c.Numbers++
	if c.Min == nil {
		c.Min, c.Max = new(n), new(n)
	}
	*c.Min, *c.Max = min(*c.Min, n), max(*c.Max, n)
	next := c.sum + n // Neumaier's sum
	if math.Abs(c.sum) >= math.Abs(n) {
		c.lost += (c.sum - next) + n
	} else {
		c.lost += (n - next) + c.sum
	}
	c.sum = next
}

func (c *column) end() {
	if c.seen != nil {
		c.Distinct = new(len(c.seen))
	}
	if sum := c.sum + c.lost; c.Numbers > 0 && !math.IsInf(sum, 0) && !math.IsNaN(sum) {
		c.Sum, c.Mean = new(sum), new(sum/float64(c.Numbers))
	}
}
