// Package config reads the configuration of the plugins that ship, so that all of them take the same forms and refuse in the same words.
// Each error is invalid input and names the key.
package config

import (
	"slices"
	"strconv"
	"strings"

	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// Text returns the value of a key, or a standard one.
func Text(key, standard string) string {
	if value, ok := taskhost.Config(key); ok {
		return value
	}
	return standard
}

// Need returns the value of a key that has to be there. The example shows what to set.
func Need(key, example string) (string, error) {
	value, ok := taskhost.Config(key)
	if !ok {
		return "", taskhost.InvalidInputf("config %s is missing; set it, as in %s=%s", key, key, example)
	}
	return value, nil
}

// Flag returns a value that is true or false.
func Flag(key string, standard bool) (bool, error) {
	value, ok := taskhost.Config(key)
	if !ok {
		return standard, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, taskhost.InvalidInputf("config %s: %q is neither true nor false", key, value)
	}
	return b, nil
}

// Number returns a whole number within bounds.
func Number(key string, standard, least, most int) (int, error) {
	value, ok := taskhost.Config(key)
	if !ok {
		return standard, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, taskhost.InvalidInputf("config %s: give a number from %d to %d", key, least, most)
	}
	return n, nil
}

// Choice returns one of some words; the first is the standard one.
func Choice(key string, words ...string) (string, error) {
	value := Text(key, words[0])
	if !slices.Contains(words, value) {
		return "", taskhost.InvalidInputf("config %s: %q is none of %s", key, value, strings.Join(words, ", "))
	}
	return value, nil
}

// List returns the words of a value that are between commas, without the white space around them; nil when there are none.
func List(key string) []string {
	var found []string
	for word := range strings.SplitSeq(Text(key, ""), ",") {
		if word = strings.TrimSpace(word); word != "" {
			found = append(found, word)
		}
	}
	return found
}

// Choices returns words of a list, each of which is one of some. Without the key it returns nil.
func Choices(key string, words ...string) ([]string, error) {
	list := List(key)
	for _, word := range list {
		if !slices.Contains(words, word) {
			return nil, taskhost.InvalidInputf("config %s: %q is none of %s", key, word, strings.Join(words, ", "))
		}
	}
	return list, nil
}

// Bytes returns a number of bytes within bounds, such as 1048576, 512K or 16M.
func Bytes(key string, standard, most int) (int, error) {
	value, ok := taskhost.Config(key)
	if !ok {
		return standard, nil
	}
	digits, unit := value, 1
	for suffix, size := range map[string]int{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if rest, found := strings.CutSuffix(value, suffix); found {
			digits, unit = rest, size
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > most/unit {
		return 0, taskhost.InvalidInputf("config %s: %q: give a number of bytes from 1 to %d, such as 512K or 16M", key, value, most)
	}
	return n * unit, nil
}
