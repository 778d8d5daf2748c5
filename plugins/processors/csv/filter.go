package main

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taskhost/taskhost/plugins/internal/config"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// filterRows keeps the rows for which config where is true.
func filterRows(source []byte) ([]byte, error) {
	t, err := open(source)
	if err != nil {
		return nil, err
	}
	text, err := config.Need("where", `'year >= 2020 and name != ""'`)
	if err != nil {
		return nil, err
	}
	var either [][]condition
	if len(t.columns) > 0 {
		if either, err = t.where(text); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	w := t.writer(&b)
	if t.hasHead && len(t.columns) > 0 {
		_ = w.Write(t.columns) // into memory
	}
	kept := 0
	err = t.each(func(row []string) error {
		for _, all := range either {
			if !slices.ContainsFunc(all, func(c condition) bool { return !c.holds(row) }) {
				kept++
				return w.Write(row)
			}
		}
		return nil
	})
	w.Flush()
	taskhost.Progress(t.rows, t.rows, strconv.Itoa(kept)+" of "+strconv.Itoa(t.rows)+" rows kept")
	return b.Bytes(), err
}

// condition compares a column with a value: as numbers when both are one, else as text.
type condition struct {
	column   int
	op       string
	text     string
	number   float64
	isNumber bool
	pattern  *regexp.Regexp // of ~ and !~
}

func (c *condition) holds(row []string) bool {
	field := row[c.column]
	switch c.op {
	case "~":
		return c.pattern.MatchString(field)
	case "!~":
		return !c.pattern.MatchString(field)
	}
	order := strings.Compare(field, c.text)
	if c.isNumber {
		if field == "" { // nothing is neither more nor less than a number
			return c.op == "!="
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(field), 64); err == nil {
			order = cmp.Compare(n, c.number)
		}
	}
	switch c.op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// maxConditions bounds an expression.
const maxConditions = 64

// where reads an expression: conditions with "and" and "or" between them; "and" binds first. One list of the result has to hold as a whole.
func (t *table) where(text string) ([][]condition, error) {
	words := lex(text)
	wrong := func(what string) error {
		return taskhost.InvalidInputf("config where: %s; write it as in: year >= 2020 and name != \"\" or name ~ \"^A\"", what)
	}
	either := [][]condition{nil}
	for n := 0; ; n++ {
		if n == maxConditions {
			return nil, wrong("there are more than " + strconv.Itoa(maxConditions) + " conditions")
		}
		if len(words) < 3 {
			return nil, wrong("a condition is a column, an operator and a value")
		}
		c, err := t.condition(words[0], words[1], words[2])
		if err != nil {
			return nil, err
		}
		either[len(either)-1] = append(either[len(either)-1], *c)
		words = words[3:]
		switch {
		case len(words) == 0:
			return either, nil
		case words[0].bare("or"):
			either = append(either, nil)
		case !words[0].bare("and"):
			return nil, wrong(strconv.Quote(words[0].text) + " stands where and or or belongs; put values with white space in quotes")
		}
		words = words[1:]
	}
}

func (t *table) condition(column, op, value word) (*condition, error) {
	i, err := t.column("where", column.text)
	if err != nil {
		return nil, err
	}
	c := &condition{column: i, op: op.text, text: value.text}
	if op.text == "==" {
		c.op = "="
	}
	switch c.op {
	case "~", "!~":
		if c.pattern, err = regexp.Compile(value.text); err != nil {
			return nil, taskhost.InvalidInputf("config where: %v", err)
		}
	case "=", "!=", "<", "<=", ">", ">=":
		if n, err := strconv.ParseFloat(value.text, 64); err == nil && !value.quoted {
			c.number, c.isNumber = n, true
		}
	default:
		return nil, taskhost.InvalidInputf("config where: %q is none of the operators = != < <= > >= ~ !~", op.text)
	}
	return c, nil
}

// word is a part of an expression.
type word struct {
	text   string
	quoted bool
}

func (w word) bare(text string) bool { return !w.quoted && strings.EqualFold(w.text, text) }

// lex cuts an expression into words. Quotes are " or '; one that stands for itself is written twice.
func lex(text string) []word {
	const signs = "=!<>~"
	var words []word
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return words
		}
		first, _ := utf8.DecodeRuneInString(text)
		switch {
		case first == '"' || first == '\'':
			quote := string(first)
			var b strings.Builder
			text = text[1:]
			for {
				part, rest, _ := strings.Cut(text, quote)
				b.WriteString(part)
				text = rest
				if !strings.HasPrefix(rest, quote) {
					break
				}
				b.WriteString(quote)
				text = rest[1:]
			}
			words = append(words, word{b.String(), true})
		case strings.ContainsRune(signs, first):
			n := len(text) - len(strings.TrimLeft(text, signs))
			words = append(words, word{text: text[:n]})
			text = text[n:]
		default:
			n := strings.IndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(signs, r) })
			if n < 0 {
				n = len(text)
			}
			words = append(words, word{text: text[:n]})
			text = text[n:]
		}
	}
}
