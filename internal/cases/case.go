// Package cases tests plugins by files: what goes in, and what must come of it.
//
// A folder holds the cases of one plugin. The files of the case NAME are
//
//	NAME.in     the input; NAME.in.csv and the like are the same, for editors
//	NAME.out    the output that is expected, byte for byte; NAME.out.json: compared as JSON
//	NAME.json   what else there is to say, see [Spec]; not needed
//
// NAME is letters, digits, underscore and dash. Files that begin with a dot or end in a tilde, and README.md, are left alone; so are folders.
package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Dir is the name of the folder of cases in a project.
const Dir = "cases"

// The bounds of a folder of cases.
const (
	maxCases = 10_000
	maxFile  = 64 << 20 // an input or an output
	maxSpec  = 1 << 20  // a NAME.json
)

// Case is one call of a plugin, and what must come of it.
type Case struct {
	Name  string
	Spec  Spec
	Input []byte

	Want    []byte // the output that is expected, where HasWant
	HasWant bool
	Output  string // the file that has it; where there is none, the one that an update makes

	file string // NAME.json, for messages
	in   string // NAME.in; empty: there is none
}

// ErrNone says that a folder holds no case.
var ErrNone = errors.New("there are no cases")

// fileName matches the files of cases: the case, and what the file is of it.
var fileName = regexp.MustCompile(`^([A-Za-z0-9_-]{1,100})\.(json|in|out)(\.[A-Za-z0-9_.-]{1,50})?$`)

// Load reads the cases of a folder, sorted by name. Errors are CodeInvalid, and name the file; that of a folder that is not there, or
// without a case, wraps [ErrNone].
func Load(dir string) ([]*Case, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, abi.Errorf(abi.CodeInvalid, "%w: there is no folder %s", ErrNone, dir)
	}
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "%w", err)
	}
	found := map[string]*Case{}
	for _, e := range entries {
		if e.IsDir() || ignored(e.Name()) {
			continue
		}
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil || m[2] == "json" && m[3] != "" {
			return nil, abi.Errorf(abi.CodeInvalid, "%s is no file of a case: these are NAME.in, NAME.out and NAME.json, and NAME is letters, digits, _ and -",
				filepath.Join(dir, e.Name()))
		}
		c := found[m[1]]
		if c == nil {
			if len(found) == maxCases {
				return nil, abi.Errorf(abi.CodeInvalid, "%s holds more than %d cases", dir, maxCases)
			}
			c = &Case{Name: m[1]}
			found[m[1]] = c
		}
		if err := c.take(m[2], filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, abi.Errorf(abi.CodeInvalid, "%w in %s", ErrNone, dir)
	}
	var list []*Case
	for _, c := range found {
		if err := c.finish(dir); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Case) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.EqualFold(name, "README.md")
}

// take reads one file of the case.
func (c *Case) take(kind, path string) (err error) {
	switch kind {
	case "json":
		c.file = path
		data, err := read(path, maxSpec)
		if err != nil {
			return err
		}
		c.Spec, err = ParseSpec(path, data)
		return err
	case "in":
		if c.in != "" {
			return abi.Errorf(abi.CodeInvalid, "%s and %s are both the input of the case %s; keep one", c.in, path, c.Name)
		}
		c.in = path
		c.Input, err = read(path, maxFile)
		return err
	}
	if c.Output != "" {
		return abi.Errorf(abi.CodeInvalid, "%s and %s are both the output of the case %s; keep one", c.Output, path, c.Name)
	}
	c.Output, c.HasWant = path, true
	c.Want, err = read(path, maxFile)
	return err
}

// finish checks that the files of the case go together.
func (c *Case) finish(dir string) error {
	switch {
	case c.in != "" && c.Spec.Args != nil:
		return abi.Errorf(abi.CodeInvalid, "%s: args: the case has an input in %s already; keep one of the two", c.file, c.in)
	case c.in == "" && c.file == "":
		return abi.Errorf(abi.CodeInvalid, "%s: there is no input beside it; put it into %s.in", c.Output, c.Name)
	case c.HasWant && c.Spec.Error != nil:
		return abi.Errorf(abi.CodeInvalid, "%s: error: the case has an output in %s; a call that fails has none", c.file, c.Output)
	}
	if c.Spec.Args != nil {
		c.Input = c.Spec.Args
	}
	if c.Output == "" {
		name := c.Name + ".out"
		if c.Spec.Compare == CompareJSON {
			name += ".json"
		}
		c.Output = filepath.Join(dir, name)
	}
	return nil
}

// Source is the file that a person changes to change what goes in.
func (c *Case) Source() string {
	if c.in != "" {
		return c.in
	}
	return c.file
}

// Call is the call that the case makes.
func (c *Case) Call(plugin string) abi.Call {
	return abi.Call{Plugin: plugin, Function: c.Spec.Function, Input: c.Input, Config: c.Spec.Config}
}

// Timeout bounds the call; 0: the plugin's own limit does.
func (c *Case) Timeout() time.Duration { return time.Duration(c.Spec.TimeoutMS) * time.Millisecond }

// asJSON tells whether outputs are compared as JSON.
func (c *Case) asJSON() bool {
	if c.Spec.Compare == "" {
		return strings.HasSuffix(c.Output, ".json")
	}
	return c.Spec.Compare == CompareJSON
}

// read reads a file of at most limit bytes.
func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "%w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "%w", err)
	}
	if int64(len(data)) > limit {
		return nil, abi.Errorf(abi.CodeInvalid, "%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// compact is JSON without white space.
func compact(data []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}
