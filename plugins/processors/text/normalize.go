package main

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// normalize makes texts that look the same the same: Unicode in composed form (NFC), no byte order mark, lines that end in "\n",
// no white space at their ends, no blank lines at the beginning and the end, one blank line where there were several, and a line
// break at the end.
//
// It does not change what Markdown means: two spaces at the end of a line, which are a line break there, stay when another line
// of the paragraph follows, and lines that may be code, verbatim HTML or a comment stay as they are, but for their line ends and the
// form of their characters. So do lines whose end may be inside a code span.
func normalize(text string) string {
	text = strings.TrimPrefix(text, "\ufeff")
	if strings.Contains(text, "\r") {
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	}
	text = norm.NFC.String(text)

	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var out strings.Builder
	out.Grow(len(text) + 1)
	var code verbatim
	var blanks []string // lines that are not yet written
	span := false       // whether a code span may have begun in this paragraph
	for i, line := range lines {
		inside := code.line(line)
		if !inside && blank(line) {
			span = false
			blanks = append(blanks, line)
			continue
		}
		if out.Len() > 0 {
			out.WriteString(between(blanks, line))
		}
		blanks = blanks[:0]
		followed := i+1 < len(lines) && !blank(lines[i+1])
		span = span || strings.Contains(line, "`")
		if !inside && !indented(line) && !(span && followed) {
			line = trimEnd(line, followed)
		}
		out.WriteString(line)
		out.WriteByte('\n')
	}
	return out.String()
}

// between is what becomes of the blank lines before a line. Before an indented line they may be part of code.
func between(blanks []string, line string) string {
	switch {
	case len(blanks) == 0:
		return ""
	case indented(line):
		return strings.Join(blanks, "\n") + "\n"
	}
	return "\n"
}

func blank(line string) bool { return strings.Trim(line, " \t") == "" }

func indented(line string) bool {
	return strings.HasPrefix(line, "    ") || strings.HasPrefix(strings.TrimLeft(line, " "), "\t")
}

func trimEnd(line string, followed bool) string {
	trimmed := strings.TrimRight(line, " \t")
	if followed && strings.HasSuffix(line, "  ") && trimmed != "" {
		return trimmed + "  "
	}
	return trimmed
}

// verbatim follows a text line by line and knows which lines are inside fenced code, or HTML that keeps its blank lines.
type verbatim struct {
	fence string // what the fence is made of, as long as the one that opened it
	until string // what ends the HTML, in lower case
}

// line tells whether this line is, or may be, inside. When in doubt it is: such lines are left alone.
func (v *verbatim) line(line string) bool {
	switch content := strings.TrimLeft(line, " \t>"); {
	case v.fence != "":
		rest := strings.TrimLeft(content, v.fence[:1])
		if len(content)-len(rest) >= len(v.fence) && blank(rest) {
			v.fence = ""
		}
		return true
	case v.until != "":
		if strings.Contains(strings.ToLower(line), v.until) {
			v.until = ""
		}
		return true
	}
	content := strings.TrimLeft(line, " \t>-+*.)0123456789")
	if v.fence = fence(content); v.fence != "" {
		return true
	}
	if strings.HasPrefix(content, "<") {
		lower := strings.ToLower(content)
		for _, h := range [...]struct{ start, end string }{
			{"<pre", "</pre>"}, {"<script", "</script>"}, {"<style", "</style>"}, {"<textarea", "</textarea>"},
			{"<!--", "-->"}, {"<?", "?>"}, {"<![cdata[", "]]>"}, {"<!", ">"},
		} {
			if strings.HasPrefix(lower, h.start) {
				if !strings.Contains(lower, h.end) {
					v.until = h.end
				}
				return true
			}
		}
	}
	return false
}

// fence returns the fence that a line of content opens, or "".
func fence(content string) string {
	for _, c := range []string{"`", "~"} {
		rest := strings.TrimLeft(content, c)
		if n := len(content) - len(rest); n >= 3 && (c == "~" || !strings.Contains(rest, c)) {
			return content[:n]
		}
	}
	return ""
}
