// Package yamledit changes values in the text of a YAML file: the bytes of a changed
// value change and no others, so that comments, order, notation and line ends stay.
// It works on the nodes of the parsed text; where a notation is beyond it, it says so,
// and the caller compares the outcome with SameBut before anything is written.
package yamledit

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// IsNull reports whether n is a scalar that says nothing.
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// Index returns where in n.Content the value of key is, or -1.
func Index(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i].Kind == yaml.ScalarNode {
			return i + 1
		}
	}
	return -1
}

// Child returns the value of key in the mapping n, or nil.
func Child(n *yaml.Node, key string) *yaml.Node {
	if i := Index(n, key); i >= 0 {
		return n.Content[i]
	}
	return nil
}

// Span returns the byte range of a scalar that stands on one line.
func Span(source []byte, n *yaml.Node) (start, end int, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return 0, 0, false
	}
	start = Offset(source, n.Line, n.Column)
	rest := source[start:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		length, ok := quotedLength(rest)
		return start, start + length, ok
	case n.Style == 0 && bytes.HasPrefix(rest, []byte(n.Value)):
		return start, start + len(n.Value), true
	}
	return 0, 0, false
}

// quotedLength returns how long the quoted text at the beginning of line is.
func quotedLength(line []byte) (int, bool) {
	for i := 1; i < len(line); i++ {
		switch {
		case line[0] == '"' && line[i] == '\\':
			i++
		case line[i] != line[0]:
		case line[0] == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
		default:
			return i + 1, true
		}
	}
	return 0, false
}

// Offset returns the byte offset of a line and column as yaml.Node counts them.
func Offset(source []byte, line, col int) int {
	offset := 0
	for range line - 1 {
		i := bytes.IndexByte(source[offset:], '\n')
		if i < 0 {
			return len(source)
		}
		offset += i + 1
	}
	if line == 1 && bytes.HasPrefix(source, []byte("\xef\xbb\xbf")) {
		offset += len("\xef\xbb\xbf")
	}
	seen := 1
	for i := range string(source[offset:]) {
		if seen == col {
			return offset + i
		}
		seen++
	}
	return len(source)
}

// Edit replaces a range of bytes.
type Edit struct {
	Start, End int
	Text       string
}

// Apply returns source with edits made. They do not overlap; of several at one place
// the first comes first.
func Apply(source []byte, edits ...Edit) []byte {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return cmp.Compare(a.Start, b.Start) })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(out, source[at:e.Start]...)
		out = append(out, e.Text...)
		at = e.End
	}
	return append(out, source[at:]...)
}

// EOL returns what ends the lines of source.
func EOL(source []byte) string {
	if bytes.Contains(source, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// Quote returns value in YAML: bare where no reader could take it for anything but
// that text, in double quotes otherwise.
func Quote(value string) string {
	bare := regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9._/:@-]*[A-Za-z0-9._/@-])?$`).MatchString(value)
	var n yaml.Node
	if bare && yaml.Unmarshal([]byte(value), &n) == nil && n.Content[0].Kind == yaml.ScalarNode && n.Content[0].ShortTag() == "!!str" && !yesNo(value) {
		return value
	}
	return strconv.Quote(value)
}

// yesNo are the words that YAML 1.1 readers take for booleans.
func yesNo(value string) bool {
	switch strings.ToLower(value) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}

// SameBut reports whether after is before with no other key or value different than
// those at keys, and blocks that only lead there. (Comments are bytes that an edit
// does not touch.) Either may be nil, which is an empty file.
func SameBut(before, after *yaml.Node, keys []string) bool {
	return slices.Equal(flat(before, "", nil, path(keys)), flat(after, "", nil, path(keys)))
}

// separator cannot be in a key of a file that is text.
const separator = "\x00"

func path(keys []string) string { return separator + strings.Join(keys, separator) }

// flat lists a tree's keys and values, without the one at target and without
// the blocks that only lead to it.
func flat(n *yaml.Node, at string, list []string, target string) []string {
	if n == nil {
		return list
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			below := at + separator + n.Content[i].Value
			if below == target || strings.HasPrefix(target, below+separator) && onlyLeads(n.Content[i+1], target[len(below)+1:]) {
				continue
			}
			list = flat(n.Content[i+1], below, append(list, below), target)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			list = flat(item, at+"["+strconv.Itoa(i)+"]", list, target)
		}
	case yaml.AliasNode:
		list = append(list, at, "*"+n.Value)
	default:
		list = append(list, at, n.ShortTag(), n.Value)
	}
	return list
}

// onlyLeads reports whether n holds nothing but the value at rest.
func onlyLeads(n *yaml.Node, rest string) bool {
	key, rest, more := strings.Cut(rest, separator)
	if IsNull(n) || n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		return true
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != key {
		return false
	}
	return !more || onlyLeads(n.Content[1], rest)
}
