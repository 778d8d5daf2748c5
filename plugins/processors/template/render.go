package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"text/template"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	"github.com/taskhost/taskhost/plugins/internal/values"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// maxOutput bounds what a template writes. It is the most that a host takes in its standard settings.
const maxOutput = 64 << 20

// renderOne runs the template once, on the input's JSON value.
func renderOne(source []byte) ([]byte, error) {
	t, err := parse()
	if err != nil {
		return nil, err
	}
	var data any
	if err := values.One(source, &data); err != nil {
		return nil, err
	}
	var w writer
	err = t.run(&w, data)
	return w.out.Bytes(), err
}

// renderEach runs the template on each item of a list, or on each value of JSON Lines.
func renderEach(source []byte) ([]byte, error) {
	t, err := parse()
	if err != nil {
		return nil, err
	}
	r, err := values.Read(source)
	if err != nil {
		return nil, err
	}
	list := bytes.HasPrefix(bytes.TrimLeft(r.Source, " \t\r\n"), []byte("["))
	if list {
		if _, err := r.Token(); err != nil {
			return nil, r.Wrong(err)
		}
	}
	var w writer
	for n := 1; r.More(); n++ {
		var item any
		start, err := r.Next(&item)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err := t.run(&w, item); err != nil {
			return nil, taskhost.InvalidInputf("item %d at %s: %w", n, place.Of(r.Source, start), err)
		}
		r.Progress(n, " items")
	}
	if list {
		if _, err := r.Token(); err != nil {
			return nil, r.Wrong(err)
		}
	}
	return w.out.Bytes(), r.End()
}

// renderText runs the template on the input as it is, a string.
func renderText(source []byte) ([]byte, error) {
	t, err := parse()
	if err != nil {
		return nil, err
	}
	if err := place.UTF8(source); err != nil {
		return nil, err
	}
	var w writer
	err = t.run(&w, string(source))
	return w.out.Bytes(), err
}

// page is a parsed template.
type page struct{ *template.Template }

func parse() (page, error) {
	text, err := config.Need("template", "'{{range .}}{{.name}}\n{{end}}'")
	if err != nil {
		return page{}, err
	}
	missing, err := config.Choice("missing", "empty", "error")
	if err != nil {
		return page{}, err
	}
	t := template.New(name).Funcs(functions)
	if missing == "error" {
		t = t.Option("missingkey=error")
	}
	if t, err = t.Parse(text); err != nil {
		return page{}, wrong(err)
	}
	return page{t}, nil
}

func (p page) run(w *writer, data any) error {
	err := p.Execute(w, values.Numbers(data))
	if errors.Is(err, errTooLong) {
		return taskhost.InvalidInput(errTooLong)
	}
	return wrong(err)
}

// name is what errors of text/template call it.
const name = "template"

// wrong makes "template: template:1:7: executing …" say which configuration it is about, and where.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	message, found := strings.CutPrefix(err.Error(), "template: "+name+":")
	if !found {
		return taskhost.InvalidInputf("config template: %w", err)
	}
	line, rest, _ := strings.Cut(message, ":")
	where := "line " + line
	if column, after, ok := strings.Cut(rest, ": "); ok && strings.Trim(column, "0123456789") == "" && column != "" {
		where, rest = where+", column "+column, after
	}
	return taskhost.InvalidInputf("config template, %s: %s", where, strings.TrimPrefix(strings.TrimSpace(rest), `executing "`+name+`" `))
}

var errTooLong = errors.New("the result has more than 64 MiB")

// writer keeps the result. A value that is not there is nothing: text/template would write "<no value>", with one call of Write.
type writer struct{ out bytes.Buffer }

func (w *writer) Write(b []byte) (int, error) {
	if string(b) == "<no value>" {
		return len(b), nil
	}
	if w.out.Len()+len(b) > maxOutput {
		return 0, errTooLong
	}
	return w.out.Write(b)
}
