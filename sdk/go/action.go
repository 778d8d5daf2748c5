package taskhost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// Action runs f on the arguments of the call, a JSON object, and makes what it returns, a JSON object again, the output.
// Args is a struct (see encoding/json for its tags) or a map; so is Reply. No input counts as an object without arguments.
//
// Input that is not an object, an argument of the wrong type, one that Args has no field for, and a missing one whose field has the tag
// taskhost:"required" are invalid input, with a message that names the argument. Null counts as missing. Otherwise it does what
// [Process] does.
func Action[Args, Reply any](f func(Args) (Reply, error)) int32 {
	return run(func() ([]byte, error) {
		var args Args
		if err := decodeArgs(guest.Input(), &args); err != nil {
			return nil, InvalidInput(err)
		}
		reply, err := f(args)
		if err != nil {
			return nil, err
		}
		return encodeReply(reply)
	})
}

func decodeArgs(input []byte, args any) error {
	input = bytes.TrimSpace(input)
	if len(input) == 0 {
		input = []byte("{}")
	}
	if input[0] != '{' {
		return errors.New("the arguments are not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(input))
	d.DisallowUnknownFields()
	if err := d.Decode(args); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return fmt.Errorf("argument %s: %s where %s belongs", wrong.Field, wrong.Value, kind(wrong.Type))
		}
		if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
			return fmt.Errorf("there is no argument %s", name)
		}
		return fmt.Errorf("the arguments are not a JSON object: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON object of the arguments")
	}
	return required(input, reflect.TypeOf(args).Elem())
}

// required is an error if an argument is not there that has to be.
func required(input []byte, args reflect.Type) error {
	if args.Kind() != reflect.Struct {
		return nil
	}
	var given map[string]any
	for f := range args.Fields() {
		if f.Tag.Get("taskhost") != "required" {
			continue
		}
		if given == nil {
			if err := json.Unmarshal(input, &given); err != nil {
				return err
			}
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if given[name] == nil {
			return fmt.Errorf("argument %s is missing", name)
		}
	}
	return nil
}

// kind is what JSON calls the values that a type takes.
func kind(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return "bool"
	case k >= reflect.Int && k <= reflect.Uintptr:
		return "integer"
	case k == reflect.Float32 || k == reflect.Float64:
		return "number"
	case k == reflect.String:
		return "string"
	case k == reflect.Slice || k == reflect.Array:
		return "array"
	}
	return "object"
}

func encodeReply(reply any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(reply); err != nil {
		return nil, fmt.Errorf("the action's result is not JSON: %w", err)
	}
	output := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	switch {
	case string(output) == "null": // a nil map or pointer
		return []byte("{}"), nil
	case output[0] != '{':
		return nil, fmt.Errorf("the action's result is a %T, which is not a JSON object", reply)
	}
	return output, nil
}
