package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

// DefaultFile is the configuration file in the working folder that is read when none is named.
const DefaultFile = "taskhost.yaml"

// Input is where settings come from.
type Input struct {
	// File is the configuration file. Empty: $TASKHOST_CONFIG, else DefaultFile if it is there.
	File string
	// Getenv reads the environment. Default: it is empty.
	Getenv func(name string) string
	// Flag returns the values of a setting's flag, if it was given. Default: none was.
	Flag func(s Setting) (values []string, given bool)
}

// Origin says where a value comes from.
type Origin string

// The origins.
const (
	FromDefault Origin = "default"
	FromFile    Origin = "file"
	FromEnv     Origin = "environment"
	FromFlag    Origin = "flag"
)

// Value is the value of a setting, and where it comes from.
type Value struct {
	Setting Setting
	Texts   []string
	Origin  Origin
	Where   string // the line of the file, the variable or the flag
}

// Loaded is a configuration, and where it comes from.
type Loaded struct {
	Config
	File   string // that was read; empty: none
	Values []Value
}

// Load reads a configuration. The error is CodeInvalid and tells everything that is wrong, a line for each.
func Load(in Input) (*Loaded, error) {
	if in.Getenv == nil {
		in.Getenv = func(string) string { return "" }
	}
	if in.Flag == nil {
		in.Flag = func(Setting) ([]string, bool) { return nil, false }
	}
	l := &Loaded{}
	data, err := l.readFile(in)
	if err != nil {
		return nil, err
	}
	return l, l.fill(data, in)
}

// Check reads the text of a configuration file alone, name is what errors call it.
func Check(name string, data []byte) (*Loaded, error) {
	l := &Loaded{File: name}
	in := Input{Getenv: func(string) string { return "" }, Flag: func(Setting) ([]string, bool) { return nil, false }}
	return l, l.fill(data, in)
}

const maxFile = 1 << 20

// readFile reads the configuration file, if there is one.
func (l *Loaded) readFile(in Input) ([]byte, error) {
	l.File = in.File
	if l.File == "" {
		l.File = in.Getenv("TASKHOST_CONFIG")
	}
	named := l.File != ""
	if !named {
		l.File = DefaultFile
	}
	data, err := ReadFile(l.File)
	if errors.Is(err, fs.ErrNotExist) && !named {
		l.File = ""
		return nil, nil
	}
	return data, err
}

// ReadFile reads a configuration file of a size that one may have.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, abi.Errorf(abi.CodeInvalid, "the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, abi.Errorf(abi.CodeInvalid, "the configuration: %w", err)
	case len(data) > maxFile:
		return nil, abi.Errorf(abi.CodeInvalid, "the configuration %s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// fill takes each setting from where it is given first.
func (l *Loaded) fill(data []byte, in Input) error {
	wrong := &problems{file: l.File}
	given := parseFile(data, wrong)
	for _, s := range Settings() {
		v, err := l.set(s, given, in)
		if err != nil {
			wrong.add(0, "%s: %s: %s", v.Where, s.Key, message(err))
		}
		l.Values = append(l.Values, v)
	}
	if wrong.none() {
		if err := l.check(); err != nil {
			wrong.add(0, "%s", message(err))
		}
	}
	return wrong.err()
}

// set gives one setting its value.
func (l *Loaded) set(s Setting, given map[string]fileValue, in Input) (Value, error) {
	v := Value{Setting: s, Origin: FromDefault, Where: "default"}
	if texts, ok := in.Flag(s); ok {
		v.Texts, v.Origin, v.Where = splitMany(s, texts...), FromFlag, "--"+s.Flag()
	} else if text := in.Getenv(s.Env()); text != "" {
		v.Texts, v.Origin, v.Where = splitMany(s, text), FromEnv, "$"+s.Env()
	} else if f, ok := given[s.Key]; ok {
		v.Texts, v.Origin, v.Where = f.texts, FromFile, fmt.Sprintf("%s:%d", l.File, f.line)
	} else if s.Default != "" {
		v.Texts = []string{s.Default}
	} else {
		return v, nil
	}
	if err := s.value.set(&l.Config, v.Texts); err != nil {
		return v, err
	}
	v.Texts = s.value.get(&l.Config)
	return v, nil
}

// splitMany takes the values of a flag or a variable apart: they are divided by commas, but those of plugins, which may have commas in
// them, by lines.
func splitMany(s Setting, texts ...string) (all []string) {
	if !s.Many {
		return texts
	}
	for _, text := range texts {
		for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == ',' && !s.Hidden }) {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

// Text is the value as it is shown; hidden ones show what they are about and not what they are.
func (v *Value) Text() string {
	texts := slices.Clone(v.Texts)
	if v.Setting.Hidden {
		for i, text := range texts {
			key, _, _ := strings.Cut(text, "=")
			texts[i] = key + "=(hidden)"
		}
	}
	return strings.Join(texts, ",")
}

// Changes lists the settings that differ from those of another configuration.
func (l *Loaded) Changes(from *Loaded) (changed []Setting) {
	for i := range l.Values {
		if !slices.Equal(l.Values[i].Texts, from.Values[i].Texts) {
			changed = append(changed, l.Values[i].Setting)
		}
	}
	return changed
}

// problems are what is wrong with a configuration.
type problems struct {
	file  string
	lines []string
}

func (p *problems) none() bool { return len(p.lines) == 0 }

const maxProblems = 20

// add adds a problem, with the line of the file if it is not 0.
func (p *problems) add(line int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if line > 0 {
		text = fmt.Sprintf("%s:%d: %s", p.file, line, text)
	}
	if len(p.lines) < maxProblems {
		p.lines = append(p.lines, text)
	}
}

func (p *problems) err() error {
	if p.none() {
		return nil
	}
	return abi.Errorf(abi.CodeInvalid, "%s", strings.Join(p.lines, "\n"))
}

// message is an error without the words that an abi.Error puts around it.
func message(err error) string {
	if e, ok := errors.AsType[*abi.Error](err); ok {
		return e.Message
	}
	return err.Error()
}
