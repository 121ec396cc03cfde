package function

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/yamledit"
)

// searchBudget bounds the bytes that are parsed again to find the place of a
// syntax error: enough to be exact in any file that a person writes.
const searchBudget = 256 << 10

// maxColumn is the longest line in which the column of an error is looked for.
const maxColumn = 1000

// parseYAML turns source into the node of its one document's root. Its
// problems, if any, have exact places.
func parseYAML(file string, source []byte) (*yaml.Node, []Problem) {
	fail := func(line, col int, message, hint string) (*yaml.Node, []Problem) {
		return nil, []Problem{{File: file, Line: line, Col: col, Message: message, Hint: hint}}
	}
	if len(source) > maxSize {
		return nil, []Problem{tooLarge(file)}
	}
	if offset, message := badText(source); message != "" {
		line, col := place(source, offset)
		return fail(line, col, message, "")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var first, second yaml.Node
	err := decoder.Decode(&first)
	if errors.Is(err, io.EOF) || err == nil && yamledit.IsNull(first.Content[0]) {
		return fail(1, 1, "the file is empty", "")
	}
	if err != nil {
		line, col := errorPlace(source)
		return fail(line, col, "not valid YAML: "+yamlReason(err), syntaxHint(source, line))
	}
	for {
		err := decoder.Decode(&second)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, col := errorPlace(source)
			return fail(line, col, "not valid YAML: "+yamlReason(err), syntaxHint(source, line))
		}
		if n := second.Content[0]; !yamledit.IsNull(n) {
			return fail(n.Line, n.Column, "a second YAML document", "func.yaml has exactly one")
		}
	}
	root := first.Content[0]
	if root.Kind != yaml.MappingNode {
		return fail(root.Line, root.Column, "not a mapping of keys to values", "a func.yaml begins like: name: hello")
	}
	return root, nil
}

// badText finds what no YAML may have, at a byte offset. The parser would
// refuse it too, without saying where.
func badText(source []byte) (offset int, message string) {
	if bytes.HasPrefix(source, []byte("\xff\xfe")) || bytes.HasPrefix(source, []byte("\xfe\xff")) || bytes.IndexByte(source[:min(len(source), 4)], 0) >= 0 {
		return 0, "the file is in UTF-16, and has to be in UTF-8"
	}
	for i := 0; i < len(source); {
		r, size := utf8.DecodeRune(source[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i, "not UTF-8 text"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return i, "a control character"
		case r == '\r' && !bytes.HasPrefix(source[i+1:], []byte("\n")), r == '\u0085', r == '\u2028', r == '\u2029':
			// YAML 1.1 counts these as ends of lines, and no editor does.
			return i, "a line break of a kind that is not in use any more"
		}
		i += size
	}
	return 0, ""
}

// place is the line and column of a byte offset, counted as yaml.Node does.
func place(source []byte, offset int) (line, col int) {
	before := source[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// errorPlace finds where broken YAML breaks. The parser itself names the start
// of the enclosing block, often many lines away. Every prefix of good YAML that
// ends with a line is good, apart from those that cut a quoted or bracketed
// value; so the line after the last good prefix is the one that broke it, and
// the same within that line gives the column.
func errorPlace(source []byte) (line, col int) {
	lines := bytes.SplitAfter(source, []byte("\n"))
	ends := make([]int, len(lines)+1)
	for i, l := range lines {
		ends[i+1] = ends[i] + len(l)
	}
	bad := lastGood(len(lines), len(source), func(n int) bool { return parses(source[:ends[n]]) })
	text := bytes.TrimRight(lines[bad], "\r\n")
	if len(text) > maxColumn {
		return bad + 1, len(text) - len(bytes.TrimLeft(text, " \t")) + 1
	}
	var stops []int
	for i := range string(text) {
		stops = append(stops, i)
	}
	stops = append(stops, len(text))
	before := ends[bad]
	col = lastGood(len(stops)-1, before+len(text), func(n int) bool { return parses(source[:before+stops[n]]) }) + 1
	return bad + 1, col
}

// lastGood is the largest n below total for which good(n) holds, where good(0)
// does and good(total) does not; a try costs up to size bytes. Where trying
// each would be too dear it bisects, and finds one such border.
func lastGood(total, size int, good func(int) bool) int {
	if total*size <= searchBudget {
		for n := total - 1; n > 0; n-- {
			if good(n) {
				return n
			}
		}
		return 0
	}
	low, high := 0, total
	for high-low > 1 {
		if middle := (low + high) / 2; good(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func parses(source []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// yamlReason is the parser's own reason without its idea of the line.
func yamlReason(err error) string {
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(reason, "line ") {
		_, reason, _ = strings.Cut(reason, ": ")
	}
	return reason
}

// syntaxHint knows the mistakes that people make most.
func syntaxHint(source []byte, line int) string {
	text := string(bytes.Split(source, []byte("\n"))[line-1])
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "indent with spaces, YAML allows no tabs"
	case strings.Contains(text, "{{"):
		return "put quotes around a {{ … }} template"
	}
	return ""
}
