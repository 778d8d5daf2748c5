package config

import (
	stdbytes "bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/taskhost/taskhost/internal/suggest"
)

// fileValue is what the file gives a key.
type fileValue struct {
	texts []string
	line  int
}

// DidYouMean names the word that somebody may have meant.
func DidYouMean(word string, words []string) string { return suggest.DidYouMean(word, words) }

// parseFile reads the text of a file. What is wrong goes to wrong.
func parseFile(data []byte, wrong *problems) map[string]fileValue {
	p := fileParser{wrong: wrong, given: map[string]fileValue{}, known: map[string]Setting{}}
	for _, s := range Settings() {
		p.known[s.Key] = s
		p.keys = append(p.keys, s.Key)
	}
	dec := yaml.NewDecoder(stdbytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing is in it
		return p.given
	case err != nil:
		line, text := yamlError(err)
		wrong.add(line, "%s", text)
		return p.given
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		wrong.add(max(more.Line, 1), "there is a second document")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return p.given
	}
	if root.Kind != yaml.MappingNode {
		wrong.add(root.Line, "there must be keys with values, such as \"listen: 127.0.0.1:8080\"")
		return p.given
	}
	p.mapping("", root)
	return p.given
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlError takes an error of the YAML parser apart.
func yamlError(err error) (line int, text string) {
	text = err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return max(line, 1), "it is no YAML: " + text
}

type fileParser struct {
	wrong *problems
	given map[string]fileValue
	known map[string]Setting
	keys  []string
}

// mapping reads the keys below a path, which ends in a dot, or is empty.
func (p *fileParser) mapping(path string, node *yaml.Node) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, v := node.Content[i], node.Content[i+1]
		if name.Kind != yaml.ScalarNode || name.Tag == "!!merge" || v.Kind == yaml.AliasNode {
			p.wrong.add(name.Line, "write the key and its value out: aliases and merges are not read")
			continue
		}
		key := path + name.Value
		_, setting := p.known[key]
		switch {
		case !setting && !p.group(key):
			p.wrong.add(name.Line, "there is no key %s%s", key, p.suggest(key, path))
		case !setting && v.Kind == yaml.MappingNode:
			p.mapping(key+".", v)
		case !setting:
			p.wrong.add(name.Line, "%s has keys below it: %s", key, strings.Join(p.below(key+"."), ", "))
		case p.given[key].line != 0:
			p.wrong.add(name.Line, "%s is there twice, first in line %d", key, p.given[key].line)
		default:
			p.setting(key, v)
		}
	}
}

func (p *fileParser) group(key string) bool { return len(p.below(key+".")) > 0 }

// below lists the keys below a path, without it.
func (p *fileParser) below(path string) (keys []string) {
	for _, key := range p.keys {
		if rest, ok := strings.CutPrefix(key, path); ok {
			keys = append(keys, rest)
		}
	}
	return keys
}

// suggest names the key that may have been meant: one with a similar name here, or one of that name elsewhere.
func (p *fileParser) suggest(key, path string) string {
	var here []string
	groups := map[string]bool{}
	for _, rest := range p.below(path) {
		first, _, deeper := strings.Cut(rest, ".")
		if !groups[first] {
			here = append(here, path+first)
		}
		groups[first] = deeper
	}
	if s := suggest.DidYouMean(key, append(here, p.keys...)); s != "" {
		return s
	}
	for _, known := range p.keys { // in its group, or by the flag's name
		if strings.HasSuffix(known, "."+key) || strings.NewReplacer(".", "", "_", "", "-", "").Replace(known) == strings.NewReplacer(".", "", "_", "", "-", "").Replace(key) {
			return "; did you mean " + known + "?"
		}
	}
	return "; taskhost config show lists all keys"
}

// setting takes the value of a key.
func (p *fileParser) setting(key string, v *yaml.Node) {
	given := fileValue{line: v.Line}
	s := p.known[key]
	switch {
	case v.Kind == yaml.ScalarNode && v.Tag == "!!null":
		p.wrong.add(v.Line, "%s has no value", key)
	case v.Kind == yaml.ScalarNode:
		given.texts = splitMany(s, v.Value)
	case v.Kind == yaml.SequenceNode && s.Many && !s.Hidden:
		for _, item := range v.Content {
			if item.Kind != yaml.ScalarNode {
				p.wrong.add(item.Line, "%s is a list of texts", key)
				return
			}
			given.texts = append(given.texts, item.Value)
		}
	case v.Kind == yaml.MappingNode && s.Hidden:
		given.texts = p.plugins(key, v)
	default:
		p.wrong.add(v.Line, "%s takes a value", key)
	}
	p.given[key] = given
}

// plugins reads plugins, each with keys and values below it, and returns them as JSON.
func (p *fileParser) plugins(key string, node *yaml.Node) []string {
	all := map[string]map[string]string{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		plugin, config := node.Content[i], node.Content[i+1]
		if config.Kind != yaml.MappingNode || all[plugin.Value] != nil {
			p.wrong.add(plugin.Line, "%s.%s: each plugin is there once, with keys and values below it", key, plugin.Value)
			continue
		}
		all[plugin.Value] = map[string]string{}
		for j := 0; j+1 < len(config.Content); j += 2 {
			name, v := config.Content[j], config.Content[j+1]
			if v.Kind != yaml.ScalarNode || v.Tag == "!!null" || name.Kind != yaml.ScalarNode {
				p.wrong.add(name.Line, "%s.%s.%s takes a text", key, plugin.Value, name.Value)
				continue
			}
			all[plugin.Value][name.Value] = v.Value
		}
	}
	return []string{encode(all)}
}
