package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// maxColumns bounds the columns of a table.
const maxColumns = 10_000

// table reads rows, one after the other.
type table struct {
	source  []byte
	reader  *csv.Reader
	comma   rune
	hasHead bool
	columns []string // their names, each one once
	first   []string // a row that was read to count the columns, when there is no header
	rows    int
}

// open reads the header. A table without any row has no columns.
func open(source []byte) (*table, error) {
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	t := &table{source: source, reader: csv.NewReader(bytes.NewReader(source))}
	t.reader.FieldsPerRecord = -1
	var err error
	if t.comma, err = delimiter(); err != nil {
		return nil, err
	}
	t.reader.Comma = t.comma
	if t.reader.LazyQuotes, err = config.Flag("lazy_quotes", false); err != nil {
		return nil, err
	}
	if text := config.Text("comment", ""); text != "" {
		if t.reader.Comment, err = character("comment", text); err != nil {
			return nil, err
		}
		if t.reader.Comment == t.comma {
			return nil, taskhost.InvalidInputf("config comment: %q is the delimiter", text)
		}
	}
	if t.hasHead, err = config.Flag("header", true); err != nil {
		return nil, err
	}
	return t, t.head()
}

func delimiter() (rune, error) {
	text := config.Text("delimiter", ",")
	if text == "tab" {
		return '\t', nil
	}
	return character("delimiter", text)
}

// character is a value that encoding/csv takes as a delimiter.
func character(key, text string) (rune, error) {
	r, n := utf8.DecodeRuneInString(text)
	if n != len(text) || r == utf8.RuneError || r == '"' || r == '\r' || r == '\n' || r == 0 {
		return 0, taskhost.InvalidInputf("config %s: %q: give one character, or the word tab", key, text)
	}
	return r, nil
}

func (t *table) head() error {
	row, err := t.read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(row) > maxColumns {
		return taskhost.InvalidInputf("%d columns are more than %d; config delimiter may be wrong", len(row), maxColumns)
	}
	if !t.hasHead {
		t.first = slices.Clone(row)
		row = make([]string, len(row))
	}
	t.columns = names(row)
	return nil
}

// names gives each column a name: that of the header, else its number; one that comes again gets a number, too.
func names(header []string) []string {
	taken := make(map[string]bool, len(header))
	last := map[string]int{} // the number that a name got last
	found := make([]string, len(header))
	for i, name := range header {
		name = strings.TrimSpace(name)
		if name == "" {
			name = "column_" + strconv.Itoa(i+1)
		}
		unique := name
		n := max(1, last[name])
		for taken[unique] {
			n++
			unique = name + "_" + strconv.Itoa(n)
		}
		last[name] = n
		taken[unique] = true
		found[i] = unique
	}
	return found
}

// next returns a row with a field for each column: those that a short row leaves out are empty. At the end it is io.EOF.
// The row is the caller's until the next call.
func (t *table) next() ([]string, error) {
	row := t.first
	t.first = nil
	if row == nil {
		var err error
		if row, err = t.read(); err != nil {
			return nil, err
		}
	}
	if len(row) > len(t.columns) {
		line, _ := t.reader.FieldPos(len(t.columns))
		return nil, taskhost.InvalidInputf("line %d has %d fields, there are %d columns", line, len(row), len(t.columns))
	}
	t.rows++
	if t.rows&1023 == 0 {
		t.progress()
	}
	for len(row) < len(t.columns) {
		row = append(row, "")
	}
	return row, nil
}

func (t *table) progress() {
	if len(t.source) > 0 {
		taskhost.ProgressFraction(float64(t.reader.InputOffset())/float64(len(t.source)), strconv.Itoa(t.rows)+" rows")
	}
}

func (t *table) read() ([]string, error) {
	row, err := t.reader.Read()
	if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
		what := wrong.Err.Error()
		if errors.Is(wrong.Err, csv.ErrQuote) || errors.Is(wrong.Err, csv.ErrBareQuote) {
			what += "; config lazy_quotes=true takes it as it is"
		}
		return nil, taskhost.InvalidInputf("line %d, column %d: %s", wrong.Line, wrong.Column, what)
	}
	return row, err
}

// each calls f with each row until one fails.
func (t *table) each(f func(row []string) error) error {
	for {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f(row)
		}
		if err != nil {
			return err
		}
	}
}

// column finds a column by its name, or as #N by its number, from 1.
func (t *table) column(key, name string) (int, error) {
	if i := slices.Index(t.columns, name); i >= 0 {
		return i, nil
	}
	if digits, ok := strings.CutPrefix(name, "#"); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= 1 && n <= len(t.columns) {
			return n - 1, nil
		}
	}
	const most = 20
	list := strings.Join(t.columns[:min(len(t.columns), most)], ", ")
	if len(t.columns) > most {
		list += ", …"
	}
	return 0, taskhost.InvalidInputf("config %s: there is no column %q; there are %s", key, name, list)
}

// writer writes rows with the delimiter of the input.
func (t *table) writer(b *bytes.Buffer) *csv.Writer {
	w := csv.NewWriter(b)
	w.Comma = t.comma
	return w
}
