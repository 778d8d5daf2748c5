package builtin

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/taskhost/taskhost/abi"
)

// target is the language that the interpreter knows; what is newer is written in its terms.
const target = api.ES2020

// prepare takes the types out of a script, writes what is newer than the interpreter in older words, and leaves every statement in its line,
// so that stacks tell the lines of the file. What is wrong with the syntax is told here, with line and column.
func prepare(file string, text []byte) ([]byte, error) {
	loader := api.LoaderJS
	if ext := filepath.Ext(file); ext == ".ts" || ext == ".mts" {
		loader = api.LoaderTS
	}
	r := api.Transform(string(text), api.TransformOptions{
		Loader: loader, Sourcefile: file, Target: target, Format: api.FormatDefault, Charset: api.CharsetUTF8, LegalComments: api.LegalCommentsNone,
		Sourcemap: api.SourceMapExternal, SourcesContent: api.SourcesContentExclude, LogLevel: api.LogLevelSilent,
		TsconfigRaw: `{"compilerOptions": {"verbatimModuleSyntax": false, "experimentalDecorators": true}}`,
	})
	if len(r.Errors) > 0 {
		m := r.Errors[0]
		if m.Location == nil {
			return nil, abi.Errorf(abi.CodeRefused, "%s: %s", file, m.Text)
		}
		return nil, abi.Errorf(abi.CodeRefused, "%s:%d:%d: %s", file, m.Location.Line, m.Location.Column+1, m.Text)
	}
	return inTheirLines(string(r.Code), r.Map), nil
}

// inTheirLines puts empty lines into code so that each of its lines is where the source map says that it came from, unless it is further
// down already. Inside of a template nothing changes: what the map says of its lines is where the template begins.
func inTheirLines(code string, sourceMap []byte) []byte {
	from := origins(sourceMap)
	var b strings.Builder
	at := 0
	for n, line := range strings.SplitAfter(code, "\n") {
		if n < len(from) {
			for ; at < from[n]; at++ {
				b.WriteByte('\n')
			}
		}
		b.WriteString(line)
		at++
	}
	return []byte(b.String())
}

// origins decodes a source map as far as it is needed here: for each line of the code the line of the source that its beginning came from,
// from 0. See https://tc39.es/ecma426/. Of what cannot be read nothing is known, which is line 0.
func origins(sourceMap []byte) []int {
	var m struct {
		Mappings string `json:"mappings"`
	}
	if json.Unmarshal(sourceMap, &m) != nil {
		return nil
	}
	var list []int
	source := 0
	for line := range strings.SplitSeq(m.Mappings, ";") {
		from, first := 0, true
		for segment := range strings.SplitSeq(line, ",") {
			fields, ok := vlq(segment)
			if !ok || len(fields) < 4 {
				continue
			}
			source += fields[2]
			if first && fields[0] == 0 {
				from = source
			}
			first = false
		}
		list = append(list, min(from, maxLines))
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
