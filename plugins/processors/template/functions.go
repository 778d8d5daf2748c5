package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"
)

// functions are what templates can use besides those of text/template. The value comes last, so that it can come from a pipe.
//
// A sandbox is put back to the state after its start before each call, so what is made here is made once, not once a call.
var functions = template.FuncMap{
	"json":     toJSON,
	"upper":    func(v any) string { return strings.ToUpper(text(v)) },
	"lower":    func(v any) string { return strings.ToLower(text(v)) },
	"trim":     func(v any) string { return strings.TrimSpace(text(v)) },
	"replace":  func(old, with string, v any) string { return strings.ReplaceAll(text(v), old, with) },
	"split":    func(by string, v any) []string { return strings.Split(text(v), by) },
	"contains": func(part string, v any) bool { return strings.Contains(text(v), part) },
	"lines":    func(v any) []string { return strings.Split(strings.TrimSuffix(text(v), "\n"), "\n") },
	"join":     join,
	"default":  orElse,
	"cell":     cell,
	"pad":      pad,
	"add":      func(a, b any) (any, error) { return arithmetic("add", a, b) },
	"sub":      func(a, b any) (any, error) { return arithmetic("sub", a, b) },
	"mul":      func(a, b any) (any, error) { return arithmetic("mul", a, b) },
	"div":      func(a, b any) (any, error) { return arithmetic("div", a, b) },
	"round":    round,
}

// text is a value as a template writes it; nothing is "".
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return fmt.Sprint(v)
}

func toJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func join(between string, list any) (string, error) {
	switch list := list.(type) {
	case nil:
		return "", nil
	case []string:
		return strings.Join(list, between), nil
	case []any:
		words := make([]string, len(list))
		for i := range list {
			words[i] = text(list[i])
		}
		return strings.Join(words, between), nil
	}
	return "", fmt.Errorf("join needs a list, not a %T", list)
}

// orElse is the value, or the standard one if there is none: no key, null or "".
func orElse(standard, v any) any {
	if v == nil || v == "" {
		return standard
	}
	return v
}

// cell is a value that fits into a cell of a Markdown table.
func cell(v any) string {
	return strings.NewReplacer("|", `\|`, "\r\n", " ", "\n", " ", "\r", " ").Replace(text(v))
}

// pad fills up with spaces: on the right up to width characters, on the left if it is negative.
func pad(width int, v any) (string, error) {
	const most = 10_000
	if width > most || width < -most {
		return "", fmt.Errorf("pad to %d characters; %d are the most", width, most)
	}
	s := text(v)
	n := utf8.RuneCountInString(s)
	if width < 0 {
		return strings.Repeat(" ", max(0, -width-n)) + s, nil
	}
	return s + strings.Repeat(" ", max(0, width-n)), nil
}

// arithmetic is with whole numbers as long as it can be.
func arithmetic(op string, a, b any) (any, error) {
	x, y, whole, err := numbers(op, a, b)
	if err != nil {
		return nil, err
	}
	var result float64
	switch op {
	case "add":
		result = x + y
	case "sub":
		result = x - y
	case "mul":
		result = x * y
	case "div":
		if y == 0 {
			return nil, errors.New("div by 0")
		}
		result = x / y
	}
	if whole && result == math.Trunc(result) && math.Abs(result) <= 1<<53 {
		return int(result), nil
	}
	return result, nil
}

func numbers(op string, a, b any) (x, y float64, whole bool, err error) {
	values := [2]float64{}
	whole = true
	for i, v := range [2]any{a, b} {
		switch v := v.(type) {
		case int:
			values[i] = float64(v)
		case float64:
			values[i], whole = v, false
		default:
			return 0, 0, false, fmt.Errorf("%s needs numbers, not a %T", op, v)
		}
	}
	return values[0], values[1], whole, nil
}

// round writes a number with so many digits after the point.
func round(digits int, v any) (string, error) {
	x, _, _, err := numbers("round", v, 0)
	if err != nil {
		return "", err
	}
	return strconv.FormatFloat(x, 'f', max(0, min(digits, 20)), 64), nil
}
