package builtin

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/taskhost/taskhost/abi"
)

// target is the language that the interpreter knows; what is newer is written in its terms.
const target = api.ES2020

// prepare takes the types out of a script, writes what is newer than the interpreter in older words, and leaves every statement in its line,
// so that stacks tell the lines of the file. A script that needs none of that stays as it is. What is wrong with the syntax is told here, with
// line and column.
func prepare(file string, text []byte) ([]byte, error) {
	options := api.TransformOptions{
		Loader: api.LoaderTS, Sourcefile: file, Target: target, Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsNone,
		Sourcemap: api.SourceMapExternal, SourcesContent: api.SourcesContentExclude, LogLevel: api.LogLevelSilent,
		TsconfigRaw: `{"compilerOptions": {"experimentalDecorators": true}}`,
	}
	if ext := filepath.Ext(file); ext != ".ts" && ext != ".mts" {
		options.Loader = api.LoaderJS
	}
	r := api.Transform(string(text), options)
	if len(r.Errors) > 0 {
		m := r.Errors[0]
		if m.Location == nil {
			return nil, abi.Errorf(abi.CodeRefused, "%s: %s", file, m.Text)
		}
		return nil, abi.Errorf(abi.CodeRefused, "%s:%d:%d: %s", file, m.Location.Line, m.Location.Column+1, m.Text)
	}
	if options.Loader == api.LoaderJS {
		options.Target = api.ESNext
		if same := api.Transform(string(text), options); bytes.Equal(same.Code, r.Code) {
			return text, nil
		}
	}
	return inTheirLines(string(r.Code), r.Map), nil
}

// inTheirLines moves the lines of code to where the source map says that they came from: down by empty lines, and up by putting them behind
// the line before. Inside of a template nothing changes: what the map says of its lines is where the template begins.
func inTheirLines(code string, sourceMap []byte) []byte {
	from := origins(sourceMap)
	var b strings.Builder
	at := 0
	before := "" // the line before, without its end; empty: nothing can be put behind it
	for n, line := range strings.SplitAfter(code, "\n") {
		text := strings.TrimSuffix(line, "\n")
		begins := n < len(from) && from[n].begins
		switch {
		case before == "":
		case begins && at > from[n].line:
			b.WriteByte(' ')
			at--
		default:
			b.WriteByte('\n')
		}
		if begins {
			for ; at < from[n].line; at++ {
				b.WriteByte('\n')
			}
		}
		b.WriteString(text)
		if before = text; text == "" || strings.Contains(text, "//") { // a comment ends with its line
			b.WriteString(line[len(text):])
			before = ""
		}
		at++
	}
	return []byte(b.String())
}

// origin is where a line came from.
type origin struct {
	begins bool // with something that the source has, and not inside of it
	line   int  // from 0
}

// origins decodes a source map as far as it is needed here: for each line of the code where its beginning came from. See
// https://tc39.es/ecma426/. What begins where the thing before began is a part of that.
func origins(sourceMap []byte) []origin {
	var m struct {
		Mappings string `json:"mappings"`
	}
	if json.Unmarshal(sourceMap, &m) != nil {
		return nil
	}
	var list []origin
	source := 0
	for line := range strings.SplitSeq(m.Mappings, ";") {
		var o origin
		for n, segment := range strings.Split(line, ",") {
			fields, ok := vlq(segment)
			if !ok || len(fields) < 4 {
				continue
			}
			source += fields[2]
			if n == 0 && fields[0] == 0 {
				o = origin{fields[2] != 0 || fields[3] != 0 || len(list) == 0, min(source, maxLines)}
			}
		}
		list = append(list, o)
	}
	return list
}

// maxLines bounds the lines of a script that are kept apart.
const maxLines = 1 << 20

// vlq decodes numbers of variable length in base64.
func vlq(text string) (numbers []int, ok bool) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	value, shift := 0, 0
	for i := range len(text) {
		d := strings.IndexByte(digits, text[i])
		if d < 0 || shift > 30 {
			return nil, false
		}
		value |= d & 31 << shift
		if shift += 5; d&32 != 0 {
			continue
		}
		n := value >> 1
		if value&1 != 0 {
			n = -n
		}
		numbers = append(numbers, n)
		value, shift = 0, 0
	}
	return numbers, len(numbers) > 0
}
