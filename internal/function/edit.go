package function

import (
	"bytes"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Bytes is the file with the edits that Set has made.
func (f *Function) Bytes() []byte { return bytes.Clone(f.doc.source) }

// Set writes one setting, e.g. Set("deploy.namespace", "shop"), into the text of
// the file: the value's own bytes change, or one line (with the blocks that it
// needs) is added. Comments, order, unknown keys and line ends stay. f itself
// is read anew. Nothing changes where the outcome would not be the file as it
// was plus that one value: then the error, of kind Conflict, says what to edit
// by hand. Save writes the file.
func (f *Function) Set(path, value string) error {
	keys := strings.Split(path, ".")
	edited, err := f.doc.splice(keys, value)
	if err != nil {
		return err
	}
	if bytes.Equal(edited, f.doc.source) {
		return nil
	}
	next := &Function{Root: f.Root}
	problems := next.read(f.doc.file, edited)
	if len(problems) == 0 && !sameBut(f.doc.root, next.doc.root, keys, value) {
		return f.doc.byHand(f.doc.root, path, value)
	}
	if len(problems) == 0 {
		problems = next.Problems()
	}
	if err := Fault(problems); err != nil {
		return err
	}
	next.doc.mode, next.doc.saved = f.doc.mode, f.doc.saved
	*f = *next
	return nil
}

// Save writes the edited file in one step: a reader sees the old or the new
// one. It refuses, with a Conflict, to write over a change that somebody made
// since Load, and writes nothing when nothing has changed.
func (f *Function) Save() (err error) {
	if bytes.Equal(f.doc.source, f.doc.saved) {
		return nil
	}
	file := filepath.Join(f.Root, File)
	// A link stays a link: its target is what gets replaced.
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	failed := func(err error) error {
		return &fault.Error{Op: "function.save", Kind: fault.Failure, Subject: f.doc.file, Err: err}
	}
	now, err := regular.ReadFile(file)
	if err != nil {
		return failed(err)
	}
	if !bytes.Equal(now, f.doc.saved) {
		return fault.New(fault.Conflict, "function.save", f.doc.file, "the file has changed meanwhile").WithHint("run the command again")
	}
	if err := atomicfile.Write(file, f.doc.source, atomicfile.Options{Mode: f.doc.mode}); err != nil {
		return failed(err)
	}
	f.doc.saved = f.doc.source
	return nil
}

func (doc *document) byHand(n *yaml.Node, path, value string) error {
	return fault.New(fault.Conflict, "function.set", Problem{File: doc.file, Line: n.Line, Col: n.Column}.Where(), "%s cannot be changed in this notation", path).
		WithHint("set %s to %s by hand", path, value)
}

// splice is the source with keys set to value.
func (doc *document) splice(keys []string, value string) ([]byte, error) {
	n := doc.root
	for i, key := range keys {
		if n.Kind != yaml.MappingNode || n.Anchor != "" {
			return nil, doc.byHand(n, strings.Join(keys, "."), value)
		}
		child := childOf(n, key)
		if child == nil {
			return doc.insert(n, keys, i, value)
		}
		n = child
	}
	start, end, ok := doc.span(n)
	if !ok {
		return nil, doc.byHand(n, strings.Join(keys, "."), value)
	}
	if n.Value == value && !isNull(n) {
		return doc.source, nil
	}
	text := quoted(value)
	if isNull(n) && start == end {
		text = " " + text // "image:" has nothing after its colon
	}
	return replaced(doc.source, start, end, text), nil
}

func childOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i].Kind == yaml.ScalarNode {
			return n.Content[i+1]
		}
	}
	return nil
}

// span is the byte range of a scalar that stands on one line.
func (doc *document) span(n *yaml.Node) (start, end int, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return 0, 0, false
	}
	start = doc.offset(n.Line, n.Column)
	rest := doc.source[start:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return start, start + i + 1, true
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '\'' {
				i++
				continue
			}
			return start, start + i + 1, true
		}
	case n.Style == 0 && bytes.HasPrefix(rest, []byte(n.Value)):
		return start, start + len(n.Value), true
	}
	return 0, 0, false
}

// insert adds keys[missing:] to the mapping n: in front of its first entry, or,
// at the top of the file, after the line of the name.
func (doc *document) insert(n *yaml.Node, keys []string, missing int, value string) ([]byte, error) {
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
		return nil, doc.byHand(n, strings.Join(keys, "."), value)
	}
	eol := "\n"
	if bytes.Contains(doc.source, []byte("\r\n")) {
		eol = "\r\n"
	}
	first := n.Content[0]
	indent := strings.Repeat(" ", first.Column-1)
	at := doc.offset(first.Line, 1)
	if name := childOf(n, "name"); missing == 0 && name != nil {
		if _, end, ok := doc.span(name); ok {
			if i := bytes.IndexByte(doc.source[end:], '\n'); i >= 0 {
				at = end + i + 1
			}
		}
	}
	var text strings.Builder
	for i, key := range keys[missing:] {
		text.WriteString(indent + strings.Repeat("  ", i) + key + ":")
		if missing+i == len(keys)-1 {
			text.WriteString(" " + quoted(value))
		}
		text.WriteString(eol)
	}
	return replaced(doc.source, at, at, text.String()), nil
}

// offset is the byte offset of a line and column as yaml.Node counts them.
func (doc *document) offset(line, col int) int {
	offset := 0
	for range line - 1 {
		i := bytes.IndexByte(doc.source[offset:], '\n')
		if i < 0 {
			return len(doc.source)
		}
		offset += i + 1
	}
	if line == 1 && bytes.HasPrefix(doc.source, []byte("\xef\xbb\xbf")) {
		offset += len("\xef\xbb\xbf")
	}
	seen := 1
	for i := range string(doc.source[offset:]) {
		if seen == col {
			return offset + i
		}
		seen++
	}
	return len(doc.source)
}

func replaced(source []byte, start, end int, text string) []byte {
	out := make([]byte, 0, len(source)+len(text))
	out = append(out, source[:start]...)
	out = append(out, text...)
	return append(out, source[end:]...)
}

// quoted is value in YAML: bare where no reader could take it for anything but
// that text, in double quotes otherwise.
func quoted(value string) string {
	bare := isDataKey(strings.NewReplacer("/", "-", ":", "-", "@", "-").Replace(value)) &&
		value != "" && (isLower(value[0]) || isUpper(value[0])) && !strings.HasSuffix(value, ":")
	var n yaml.Node
	if bare && yaml.Unmarshal([]byte(value), &n) == nil && n.Content[0].ShortTag() == "!!str" && !yesNo(value) {
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

// sameBut tells whether after is before with keys set to value and no other key
// or value different. (Comments are bytes that an edit does not touch.)
func sameBut(before, after *yaml.Node, keys []string, value string) bool {
	target := strings.Join(keys, ".")
	return slices.Equal(flat(before, "", nil, target), flat(after, "", nil, target)) && valueAt(after, keys) == value
}

// flat lists a tree's keys and values, without the one at target and without
// the blocks that only lead to it.
func flat(n *yaml.Node, path string, list []string, target string) []string {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := join(path, n.Content[i].Value)
			if at == target || strings.HasPrefix(target, at+".") && onlyLeads(n.Content[i+1], target[len(at)+1:]) {
				continue
			}
			list = flat(n.Content[i+1], at, append(list, at), target)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			list = flat(item, path+"["+strconv.Itoa(i)+"]", list, target)
		}
	case yaml.AliasNode:
		list = append(list, path, "*"+n.Value)
	default:
		list = append(list, path, n.ShortTag(), n.Value)
	}
	return list
}

// onlyLeads tells whether n holds nothing but the value at rest.
func onlyLeads(n *yaml.Node, rest string) bool {
	key, rest, more := strings.Cut(rest, ".")
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != key {
		return false
	}
	return !more || onlyLeads(n.Content[1], rest)
}

func valueAt(n *yaml.Node, keys []string) string {
	for _, key := range keys {
		if n = childOf(n, key); n == nil {
			return ""
		}
	}
	return n.Value
}
