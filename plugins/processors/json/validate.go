package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/place"
	"github.com/taskhost/taskhost/plugins/internal/values"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// Bounds of what is said about input that does not fit.
const (
	maxTold     = 5    // in an error
	maxReported = 1000 // in a report
)

// failure is one thing in the input that does not fit the schema.
type failure struct {
	place.Place
	Pointer string `json:"pointer"` // RFC 6901: of the value in the document
	Message string `json:"message"`
}

// validate checks each value against config schema, and gives the input as it is. With report=true it gives what it found instead of
// an error.
func validate(source []byte) ([]byte, error) {
	report, err := config.Flag("report", false)
	if err != nil {
		return nil, err
	}
	schema, err := compileSchema()
	if err != nil {
		return nil, err
	}
	r, err := values.Read(source)
	if err != nil {
		return nil, err
	}
	failures := []failure{}
	var finder place.Finder
	n := 0
	for ; ; n++ {
		var value any
		start, err := r.Next(&value)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if wrong, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(value)); ok && len(failures) < maxReported {
			found, err := locate(r.Source, start, wrong, &finder)
			if err != nil {
				return nil, err
			}
			failures = append(failures, found...)
		}
		r.Progress(n, " values")
	}
	switch {
	case n == 0:
		return nil, taskhost.InvalidInputf("there is no JSON value")
	case report:
		return writeReport(n, failures)
	case len(failures) > 0:
		return nil, taskhost.InvalidInput(errors.New(tell(failures)))
	}
	return source, nil
}

func writeReport(n int, failures []failure) ([]byte, error) {
	failures = failures[:min(len(failures), maxReported)]
	b, err := json.MarshalIndent(struct {
		Valid  bool      `json:"valid"`
		Values int       `json:"values"`
		Errors []failure `json:"errors"`
	}{len(failures) == 0, n, failures}, "", "  ")
	return append(b, '\n'), err
}

// tell is what an error says, on one line.
func tell(failures []failure) string {
	var told []string
	for _, f := range failures[:min(len(failures), maxTold)] {
		told = append(told, fmt.Sprintf("%s: %s: %s", f.Place, f.Pointer, f.Message))
	}
	text := strings.Join(told, "; ")
	if more := len(failures) - maxTold; more > 0 {
		text += "; and " + strconv.Itoa(more) + " more"
	}
	return text
}

func compileSchema() (*jsonschema.Schema, error) {
	text, err := config.Need("schema", `'{"type": "object", "required": ["name"]}'`)
	if err != nil {
		return nil, err
	}
	formats, err := config.Flag("formats", false)
	if err != nil {
		return nil, err
	}
	var document any
	if err := values.One([]byte(text), &document); err != nil {
		return nil, taskhost.InvalidInputf("config schema: %w", err)
	}
	const name = "schema:///config"
	c := jsonschema.NewCompiler()
	c.UseLoader(nothingElse{})
	if formats {
		c.AssertFormat()
	}
	if err := c.AddResource(name, document); err != nil {
		return nil, taskhost.InvalidInputf("config schema: %w", err)
	}
	schema, err := c.Compile(name)
	if bad, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		err = bad.Err
	}
	if wrong, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		found, err := locate([]byte(text), 0, wrong, &place.Finder{})
		if err != nil {
			return nil, err
		}
		return nil, taskhost.InvalidInputf("config schema, %s", tell(found))
	}
	if err != nil {
		return nil, taskhost.InvalidInputf("config schema: %s", strings.ReplaceAll(err.Error(), name, ""))
	}
	return schema, nil
}

// nothingElse loads no schema that the one in the configuration refers to; those of JSON Schema itself are there without it.
type nothingElse struct{}

func (nothingElse) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s, and nothing is loaded from elsewhere: put that into $defs", url)
}

// locate lists what does not fit in the value that begins at start, with its places.
func locate(source []byte, start int, wrong *jsonschema.ValidationError, finder *place.Finder) ([]failure, error) {
	leaves := map[string][]string{} // messages by pointer
	printer := message.NewPrinter(language.English)
	var collect func(e *jsonschema.ValidationError)
	collect = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			p := pointer(e.InstanceLocation)
			leaves[p] = append(leaves[p], e.ErrorKind.LocalizedString(printer))
		}
		for _, cause := range e.Causes {
			collect(cause)
		}
	}
	collect(wrong)
	reader, err := values.Read(source[start:])
	if err != nil {
		return nil, err
	}
	var found []failure
	err = walk(reader, "", func(path string, at int) {
		messages := leaves[path]
		if len(messages) == 0 {
			return
		}
		where := finder.Of(source, start+at)
		if path == "" {
			path = "/"
		}
		for _, m := range messages {
			found = append(found, failure{where, path, m})
		}
	})
	return found, err
}

// walk calls f with the pointer and the place of each value within the next one, in the order of the text.
func walk(r *values.Reader, path string, f func(path string, at int)) error {
	f(path, r.At())
	token, err := r.Token()
	if err != nil {
		return err
	}
	open, _ := token.(json.Delim)
	if open == 0 {
		return nil
	}
	for i := 0; r.More(); i++ {
		name := strconv.Itoa(i)
		if open == '{' {
			key, err := r.Token()
			if err != nil {
				return err
			}
			name, _ = key.(string) // a key is one
		}
		if err := walk(r, path+"/"+escape(name), f); err != nil {
			return err
		}
	}
	_, err = r.Token()
	return err
}

func pointer(path []string) string {
	var b bytes.Buffer
	for _, name := range path {
		b.WriteString("/" + escape(name))
	}
	return b.String()
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
