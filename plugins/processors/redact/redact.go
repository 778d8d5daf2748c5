package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// span is something that was found: the bytes from start to end.
type span struct {
	start, end int
	kind       string
}

// find lists what the configured detectors find, in the order of the text. Where two overlap, it is one, with the kind of the first
// detector.
func find(text []byte) ([]span, error) {
	detectors, err := configured()
	if err != nil {
		return nil, err
	}
	var found []span
	for i, d := range detectors {
		taskhost.Progress(i, len(detectors), d.kind)
		d.find(text, func(start, end int) { found = append(found, span{start, end, d.kind}) })
	}
	taskhost.Progress(len(detectors), len(detectors), "")
	slices.SortStableFunc(found, func(a, b span) int { return a.start - b.start })
	merged := found[:0]
	for _, s := range found {
		if n := len(merged); n > 0 && s.start < merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, s.end)
			continue
		}
		merged = append(merged, s)
	}
	count(merged)
	return merged, nil
}

// count tells the metrics how much was found. The kinds of configured patterns count as one, so that the metric has few labels.
func count(found []span) {
	for kind, n := range counts(found) {
		if !slices.Contains(kinds, kind) {
			kind = "custom"
		}
		if err := taskhost.MetricAdd("redact_found_total", float64(n), taskhost.Labels{"kind": kind}); err != nil {
			taskhost.Log(taskhost.LevelWarn, "redact_found_total: %v", err)
		}
	}
}

func counts(found []span) map[string]int {
	n := map[string]int{}
	for _, s := range found {
		n[s.kind]++
	}
	return n
}

// redact puts something else in the place of what it finds.
func redact(text []byte) ([]byte, error) {
	instead, err := replacement()
	if err != nil {
		return nil, err
	}
	found, err := find(text)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(text)+16*len(found))
	done := 0
	for _, s := range found {
		out = append(out, text[done:s.start]...)
		out = append(out, instead(s.kind, string(text[s.start:s.end]))...)
		done = s.end
	}
	return append(out, text[done:]...), nil
}

// replacement is what config mode asks for.
func replacement() (func(kind, secret string) string, error) {
	mode, err := config.Choice("mode", "label", "mask", "hash")
	if err != nil {
		return nil, err
	}
	switch mode {
	case "mask":
		keep, err := config.Number("keep", 0, 0, 4)
		return func(_, secret string) string { return mask(secret, keep) }, err
	case "hash":
		const least = 16
		key, err := config.Need("hash_key", "a secret of at least 16 bytes")
		if err == nil && len(key) < least {
			err = taskhost.InvalidInputf("config hash_key has %d bytes; take at least %d, or what is hashed can be guessed", len(key), least)
		}
		return func(kind, secret string) string {
			h := hmac.New(sha256.New, []byte(key))
			h.Write([]byte(canonical(kind, secret)))
			return "[" + strings.ToUpper(kind) + ":" + hex.EncodeToString(h.Sum(nil)[:8]) + "]"
		}, err
	}
	return func(kind, _ string) string { return "[" + strings.ToUpper(kind) + "]" }, nil
}

// mask writes a star for each letter and digit, but for the last few, which are a quarter at most.
func mask(secret string, keep int) string {
	total := 0
	for _, r := range secret {
		if isWord(r) {
			total++
		}
	}
	left := total - min(keep, total/4)
	return strings.Map(func(r rune) rune {
		if isWord(r) {
			if left--; left >= 0 {
				return '*'
			}
		}
		return r
	}, secret)
}

// isWord tells whether a character is to be masked. What is no UTF-8 is, too.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || r == utf8.RuneError || strings.ContainsRune("+/=_~%$!#&", r)
}

// canonical is the same for all ways to write the same thing.
func canonical(kind, secret string) string {
	switch kind {
	case "email":
		return strings.ToLower(secret)
	case "card", "iban":
		return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(secret))
	}
	return secret
}

// maxPlaces bounds the places in a report.
const maxPlaces = 10_000

// report lists what is found, without it, as JSON.
func report(text []byte) ([]byte, error) {
	found, err := find(text)
	if err != nil {
		return nil, err
	}
	type at struct {
		Kind string `json:"kind"`
		place.Place
		Start int `json:"start"` // bytes
		End   int `json:"end"`
	}
	places := []at{}
	var finder place.Finder
	for _, s := range found[:min(len(found), maxPlaces)] {
		places = append(places, at{s.kind, finder.Of(text, s.start), s.start, s.end})
	}
	b, err := json.MarshalIndent(struct {
		Total  int            `json:"total"`
		Found  map[string]int `json:"found"`
		Places []at           `json:"places"`
	}{len(found), counts(found), places}, "", "  ")
	return append(b, '\n'), err
}

// check gives the text as it is, if nothing is found in it.
func check(text []byte) ([]byte, error) {
	found, err := find(text)
	if err != nil || len(found) == 0 {
		return text, err
	}
	n := counts(found)
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(n)) {
		list = append(list, strconv.Itoa(n[kind])+" "+kind)
	}
	return nil, taskhost.InvalidInputf("found %s; the first, %s, is at %s", strings.Join(list, ", "), found[0].kind, place.Of(text, found[0].start))
}
