package main

import (
	"errors"
	"math"
	"slices"
	"strings"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

type summarizeArgs struct {
	Text      string `json:"text"`
	Sentences int    `json:"sentences"` // how many to pick: 1 to maxPicked, default 3
}

type summarizeReply struct {
	Summary   string   `json:"summary"` // the sentences picked, in the order of the text
	Sentences []picked `json:"sentences"`
	Total     int      `json:"total_sentences"`
	Language  string   `json:"language,omitempty"` // en, de, es, fr, pt; empty: none of them
}

type picked struct {
	Index int     `json:"index"` // place in the text, from 0
	Score float64 `json:"score"` // 0..1: likeness to the whole text
	Text  string  `json:"text"`
}

const (
	maxPicked  = 50
	maxText    = 4 << 20 // bytes
	minContent = 4       // words that say something, for a sentence that can be picked
)

// summarizeText picks the sentences that are most like the text as a whole, each time preferring those that say what the ones picked
// before it do not. A word weighs by the square of the number of sentences it occurs in; words that say little do not count.
func summarizeText(args summarizeArgs) (reply summarizeReply, err error) {
	if args.Sentences == 0 {
		args.Sentences = 3
	}
	switch {
	case strings.TrimSpace(args.Text) == "":
		return reply, taskhost.InvalidInput(errors.New("argument text is missing or empty"))
	case len(args.Text) > maxText:
		return reply, taskhost.InvalidInputf("argument text: %d bytes are more than %d", len(args.Text), maxText)
	case args.Sentences < 0 || args.Sentences > maxPicked:
		return reply, taskhost.InvalidInputf("argument sentences: %d is not between 1 and %d", args.Sentences, maxPicked)
	}
	taskhost.Progress(0, 3, "finding sentences")
	sentences := splitSentences(args.Text)
	words := make([][]string, len(sentences))
	for i, s := range sentences {
		words[i] = splitWords(s)
	}
	reply.Total = len(sentences)
	reply.Language = language(words)

	taskhost.Progress(1, 3, "scoring sentences")
	vectors, scores := score(words, stopWords(reply.Language))

	taskhost.Progress(2, 3, "picking sentences")
	for _, i := range pick(vectors, scores, args.Sentences) {
		reply.Sentences = append(reply.Sentences, picked{i, math.Round(scores[i]*1000) / 1000, sentences[i]})
	}
	texts := make([]string, len(reply.Sentences))
	for i, s := range reply.Sentences {
		texts[i] = s.Text
	}
	reply.Summary = strings.Join(texts, " ")
	taskhost.Progress(3, 3, "")
	return reply, nil
}

// vector is a sentence as weights of words, sorted by word, of length 1.
type vector []weight

type weight struct {
	word  int32
	value float64
}

func (v vector) dot(w vector) (sum float64) {
	for i, j := 0, 0; i < len(v) && j < len(w); {
		switch {
		case v[i].word < w[j].word:
			i++
		case v[i].word > w[j].word:
			j++
		default:
			sum += v[i].value * w[j].value
			i++
			j++
		}
	}
	return sum
}

func (v vector) normalize() {
	var sum float64
	for _, w := range v {
		sum += w.value * w.value
	}
	if sum == 0 {
		return
	}
	for i := range v {
		v[i].value /= math.Sqrt(sum)
	}
}

// score makes a vector of each sentence and says how much it is like the text as a whole, from 0 to 1.
func score(sentences [][]string, stop map[string]bool) ([]vector, []float64) {
	numbers := map[string]int32{}
	var inSentences []float64 // of each word
	vectors := make([]vector, len(sentences))
	for i, words := range sentences {
		counts := map[int32]float64{}
		for _, w := range words {
			if stop[w] || len([]rune(w)) < 2 {
				continue
			}
			w = stem(w)
			n, known := numbers[w]
			if !known {
				n = int32(len(inSentences))
				numbers[w] = n
				inSentences = append(inSentences, 0)
			}
			counts[n]++
		}
		for n, c := range counts {
			inSentences[n]++
			vectors[i] = append(vectors[i], weight{n, c})
		}
		slices.SortFunc(vectors[i], func(a, b weight) int { return int(a.word - b.word) })
	}
	// What is said in one sentence alone is not what the text is about; nor, where no stop words are known, is what is said everywhere.
	most := float64(len(sentences))
	if stop == nil {
		most = max(2, most/3)
	}
	whole := inSentences
	for n, in := range inSentences {
		whole[n] = in * in
		if in < 2 || in > most {
			whole[n] = 0
		}
	}
	for i, v := range vectors {
		if len(v) >= minContent {
			v.normalize()
		} else {
			vectors[i] = nil // a heading or an exclamation: not worth picking
		}
	}
	length := 1e-9 // never 0: it is divided by
	for _, w := range whole {
		length += w * w
	}
	scores := make([]float64, len(vectors))
	for i, v := range vectors {
		for _, w := range v {
			scores[i] += w.value * whole[w.word] / math.Sqrt(length)
		}
		scores[i] *= position(i, len(vectors))
	}
	return vectors, scores
}

// position is how much the place of a sentence counts: texts say what they are about at the beginning, and less so at the end.
func position(i, n int) float64 {
	switch {
	case i == 0:
		return 1
	case i < n/10 || i < 2, i == n-1:
		return 0.95
	}
	return 0.85
}

// pick returns the indices of the n best sentences, in order.
func pick(vectors []vector, scores []float64, n int) []int {
	const (
		novelty = 0.4 // how much being like a sentence picked before counts against one
		same    = 0.9 // likeness of sentences that say the same
	)
	var chosen []int
	likeness := make([]float64, len(vectors)) // to the most alike of those chosen
	for len(chosen) < n {
		best, value := -1, math.Inf(-1)
		for i, v := range vectors {
			if v == nil || likeness[i] > same { // those chosen are like themselves
				continue
			}
			if s := scores[i] - novelty*likeness[i]; s > value {
				best, value = i, s
			}
		}
		if best < 0 {
			break
		}
		chosen = append(chosen, best)
		for i, v := range vectors {
			likeness[i] = max(likeness[i], v.dot(vectors[best]))
		}
	}
	if chosen == nil && len(vectors) > 0 { // nothing but short sentences
		chosen = []int{0}
	}
	slices.Sort(chosen)
	return chosen
}
