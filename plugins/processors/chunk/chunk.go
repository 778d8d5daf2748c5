package main

import (
	"bytes"
	"encoding/json"
	"sort"
	"strconv"
	"unicode/utf8"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// Bounds of a chunk, in tokens. Half of one at least is new, and a unit fits into that.
const (
	standardSize = 256
	leastSize    = 2 * maxUnit
	mostSize     = 100_000
)

// piece is a chunk as it is written.
type piece struct {
	Index    int      `json:"index"`
	Text     string   `json:"text"`
	Start    int      `json:"start"` // bytes
	End      int      `json:"end"`
	Overlap  int      `json:"overlap,omitempty"` // bytes at the beginning that the piece before has, too
	Tokens   int      `json:"tokens"`
	Headings []string `json:"headings,omitempty"` // from the document's down to the section's
}

// chunker cuts one text.
type chunker struct {
	text          []byte
	units         []unit
	sums          []int // tokens of the units before each one, and of all
	size, overlap int
	prefer        int // the level of boundary that is looked for
	paths         map[int][]string
}

// chunk cuts a text. Without their overlaps the pieces are the text again.
func chunk(text []byte, by string) ([]byte, error) {
	if err := place.UTF8(text); err != nil {
		return nil, err
	}
	size, err := config.Number("size", standardSize, leastSize, mostSize)
	if err != nil {
		return nil, err
	}
	overlap, err := config.Number("overlap", 0, 0, size/2)
	if err != nil {
		return nil, err
	}
	output, err := config.Choice("output", "lines", "list")
	if err != nil {
		return nil, err
	}
	c := &chunker{text: text, units: unitsOf(text), size: size, overlap: overlap}
	c.sums = make([]int, len(c.units)+1)
	for i, u := range c.units {
		c.sums[i+1] = c.sums[i] + u.tokens
	}
	switch by {
	case "sentences":
		c.prefer = sentence
		mark(text, c.units)
	case "headings":
		c.prefer = paragraph
		mark(text, c.units)
		c.sections()
	}
	return c.write(output == "list")
}

// sections marks where sections begin, and keeps the path of each. A heading after which only a deeper one comes is one section with it.
func (c *chunker) sections() {
	c.paths = map[int][]string{}
	all := headingsOf(c.text)
	var open []heading
	at := 0
	for i, h := range all {
		for len(open) > 0 && open[len(open)-1].level >= h.level {
			open = open[:len(open)-1]
		}
		open = append(open, h)
		path := make([]string, len(open))
		for k, o := range open {
			path[k] = o.text
		}
		if i == 0 || h.level <= all[i-1].level || len(bytes.TrimSpace(c.text[all[i-1].end:h.start])) > 0 {
			at = sort.Search(len(c.units), func(k int) bool { return c.units[k].start > h.start }) - 1
		}
		c.units[at].level = section
		c.paths[at] = path
	}
}

// write writes the pieces, one on each line.
func (c *chunker) write(list bool) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if list {
		b.WriteString("[\n")
	}
	var path []string
	before := 0 // where the new part of the piece before begins
	for index, start := 0, 0; start < len(c.units); index++ {
		if p, ok := c.paths[start]; ok {
			path = p
		}
		from := c.back(before, start)
		end := c.end(start, c.size-(c.sums[start]-c.sums[from]))
		first, last := c.units[from].start, c.units[end-1].end
		if list && index > 0 {
			b.Truncate(b.Len() - 1)
			b.WriteString(",\n")
		}
		err := e.Encode(piece{index, string(c.text[first:last]), first, last, c.units[start].start - first, c.sums[end] - c.sums[from], path})
		if err != nil {
			return nil, err
		}
		taskhost.ProgressFraction(float64(last)/float64(len(c.text)), strconv.Itoa(index+1)+" chunks")
		before, start = start, end
	}
	if list {
		b.WriteString("]\n")
	}
	return b.Bytes(), nil
}

// back returns where the overlap of a piece begins: at a sentence, if one does within it, and never in the section before.
func (c *chunker) back(before, start int) int {
	if c.overlap == 0 || start == 0 || c.units[start].level == section {
		return start
	}
	from := start
	for from > before && c.sums[start]-c.sums[from-1] <= c.overlap {
		from--
	}
	for k := from; k < start && c.prefer > word; k++ {
		if c.units[k].level >= sentence {
			return k
		}
	}
	return from
}

// end returns where a piece ends that takes so many tokens at most.
func (c *chunker) end(start, budget int) int {
	end := start + 1
	for end < len(c.units) && c.units[end].level != section && c.sums[end+1]-c.sums[start] <= budget {
		end++
	}
	if end == len(c.units) || c.units[end].level == section {
		return end
	}
	for level := c.prefer; level > word; level-- {
		for k := end; k > start; k-- {
			if level != sentence && c.sums[k]-c.sums[start] < budget/4 { // too little for a piece
				break
			}
			if c.units[k].level >= level {
				return k
			}
		}
	}
	return end
}

// count says how long a text is, as a JSON object.
func count(text []byte) ([]byte, error) {
	if err := place.UTF8(text); err != nil {
		return nil, err
	}
	tokens := 0
	for _, u := range unitsOf(text) {
		tokens += u.tokens
	}
	b, err := json.Marshal(struct {
		Bytes      int `json:"bytes"`
		Characters int `json:"characters"`
		Tokens     int `json:"tokens"`
	}{len(text), utf8.RuneCount(text), tokens})
	return append(b, '\n'), err
}
