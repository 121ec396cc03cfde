package settings

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/yamledit"
)

// edit changes one value in the text of the user's file.
type edit struct {
	*document
	keys  []string // of the value, from the top
	value any      // a string, a boolean or a []string; nil removes it
}

// boolean is true or false, written without quotes.
type boolean string

// text returns the text of the file with the change. Where that would not be the
// file as it was but for the one value, the error says what to edit by hand.
func (e *edit) text() ([]byte, error) {
	edits, err := e.edits()
	if err != nil {
		return nil, err
	}
	after := yamledit.Apply(e.source, edits...)
	changed := &document{file: e.file}
	root, err := changed.parseRoot(after)
	if err != nil || !yamledit.SameBut(e.root, root, e.keys) || !e.isThere(root) {
		return nil, e.byHand(e.root)
	}
	return after, nil
}

// has reports whether the file has a value at keys, if only an empty one.
func (e *edit) has() bool {
	n := e.root
	for _, key := range e.keys {
		if n == nil || n.Kind != yaml.MappingNode {
			return false
		}
		n = yamledit.Child(n, key)
	}
	return n != nil
}

// isThere reports whether root has the value, or lacks it where it is to be removed.
func (e *edit) isThere(root *yaml.Node) bool {
	n := root
	for _, key := range e.keys {
		if n != nil {
			n = yamledit.Child(n, key)
		}
	}
	switch want := e.value.(type) {
	case nil:
		return n == nil
	case string:
		return n != nil && n.Kind == yaml.ScalarNode && n.Value == want
	case boolean:
		return n != nil && n.Kind == yaml.ScalarNode && n.Value == string(want)
	case []string:
		return n != nil && n.Kind == yaml.SequenceNode && slices.Equal(valuesOf(n), want)
	}
	return false
}

func valuesOf(list *yaml.Node) (out []string) {
	for _, item := range list.Content {
		out = append(out, item.Value)
	}
	return out
}

func (e *edit) byHand(n *yaml.Node) error {
	at := e.file
	if n != nil {
		at = e.at(n)
	}
	what := "remove " + strings.Join(e.keys, ".")
	if e.value != nil {
		what = "set " + strings.Join(e.keys, ".") + " to " + inline(e.value)
	}
	return fault.New(fault.Conflict, "config.edit", at, "this notation cannot be changed without touching what is around it").WithHint("%s by hand", what)
}

func (e *edit) edits() ([]yamledit.Edit, error) {
	if e.root == nil {
		return e.append(), nil
	}
	parents, n := []*yaml.Node{}, e.root
	for i, key := range e.keys {
		if n.Kind != yaml.MappingNode || n.Anchor != "" {
			if yamledit.IsNull(n) && e.value != nil {
				return e.fill(parents[len(parents)-1], i), nil
			}
			return nil, e.byHand(n)
		}
		child := yamledit.Child(n, key)
		if child == nil {
			if e.value == nil {
				return nil, nil
			}
			return e.insert(n, i)
		}
		parents = append(parents, n)
		n = child
	}
	if e.value == nil {
		return e.remove(parents)
	}
	return e.replace(n)
}

// inline is a value as it stands behind its key.
func inline(value any) string {
	if yes, ok := value.(boolean); ok {
		return string(yes)
	}
	list, ok := value.([]string)
	if !ok {
		text, _ := value.(string)
		return yamledit.Quote(text)
	}
	var items []string
	for _, item := range list {
		items = append(items, yamledit.Quote(item))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// block is the lines of keys[from:] and the value.
func (e *edit) block(from int, indent string) string {
	var out strings.Builder
	for i, key := range e.keys[from:] {
		out.WriteString(indent + strings.Repeat("  ", i) + yamledit.Quote(key) + ":")
		if from+i == len(e.keys)-1 {
			out.WriteString(" " + inline(e.value))
		}
		out.WriteString(yamledit.EOL(e.source))
	}
	return out.String()
}

// append adds the value behind everything else.
func (e *edit) append() []yamledit.Edit {
	if e.value == nil {
		return nil
	}
	return []yamledit.Edit{e.line(e.lastLine(), e.block(0, ""))}
}

// line inserts text as lines behind a line.
func (e *edit) line(after int, text string) yamledit.Edit {
	at := yamledit.Offset(e.source, after+1, 1)
	if at > 0 && e.source[at-1] != '\n' {
		text = yamledit.EOL(e.source) + text
	}
	return yamledit.Edit{Start: at, End: at, Text: text}
}

// fill writes the value below a key that has none yet; keys[:depth] lead to it.
func (e *edit) fill(parent *yaml.Node, depth int) []yamledit.Edit {
	key := parent.Content[yamledit.Index(parent, e.keys[depth-1])-1]
	return []yamledit.Edit{e.line(key.Line, e.block(depth, strings.Repeat(" ", key.Column+1)))}
}

// insert adds keys[missing:] to the mapping n, behind its last entry.
func (e *edit) insert(n *yaml.Node, missing int) ([]yamledit.Edit, error) {
	if n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 {
		indent := strings.Repeat(" ", n.Content[0].Column-1)
		return []yamledit.Edit{e.line(e.entryEnd(n, len(n.Content)-2), e.block(missing, indent))}, nil
	}
	if missing != len(e.keys)-1 {
		return nil, e.byHand(n)
	}
	text := yamledit.Quote(e.keys[missing]) + ": " + inline(e.value)
	if len(n.Content) > 0 {
		text += ", "
	}
	at := yamledit.Offset(e.source, n.Line, n.Column) + len("{")
	return []yamledit.Edit{{Start: at, End: at, Text: text}}, nil
}

// replace writes the value in place of n.
func (e *edit) replace(n *yaml.Node) ([]yamledit.Edit, error) {
	start, end, ok := yamledit.Span(e.source, n)
	text := inline(e.value)
	list, isList := e.value.([]string)
	switch {
	case ok && yamledit.IsNull(n) && start == end:
		text = " " + text
	case ok && n.Value == e.value:
		return nil, nil
	case ok:
	case !isList || n.Kind != yaml.SequenceNode || n.Anchor != "":
		return nil, e.byHand(n)
	case slices.Equal(valuesOf(n), list):
		return nil, nil
	case n.Style&yaml.FlowStyle == 0:
		return e.replaceItems(n, list)
	default:
		if start, end, ok = e.flowSpan(n); !ok {
			return nil, e.byHand(n)
		}
	}
	return []yamledit.Edit{{Start: start, End: end, Text: text}}, nil
}

// flowSpan is the byte range of a list in brackets that stands on one line.
func (e *edit) flowSpan(n *yaml.Node) (start, end int, ok bool) {
	start = yamledit.Offset(e.source, n.Line, n.Column)
	end = start + len("[")
	for _, item := range n.Content {
		if _, end, ok = yamledit.Span(e.source, item); !ok || item.Line != n.Line {
			return 0, 0, false
		}
	}
	closing := bytes.IndexByte(e.source[end:], ']')
	if closing < 0 || strings.Trim(string(e.source[end:end+closing]), " ,") != "" {
		return 0, 0, false
	}
	return start, end + closing + 1, true
}

// replaceItems rewrites a list with a line for each item: the lines of items that stay
// are left alone, with their comments.
func (e *edit) replaceItems(n *yaml.Node, list []string) ([]yamledit.Edit, error) {
	lineOf := map[string]int{}
	last := 0
	for _, item := range n.Content {
		if _, _, ok := yamledit.Span(e.source, item); !ok || lineOf[item.Value] > 0 || item.Line == last {
			return nil, e.byHand(n)
		}
		last = item.Line
		lineOf[item.Value] = item.Line
	}
	first := n.Content[0]
	dash := e.source[yamledit.Offset(e.source, first.Line, 1):yamledit.Offset(e.source, first.Line, first.Column)]
	if strings.Trim(string(dash), " -") != "" {
		return nil, e.byHand(n)
	}
	var edits []yamledit.Edit
	after := first.Line - 1
	for _, value := range list {
		if at := lineOf[value]; at > 0 {
			if at < after {
				return nil, e.byHand(n) // another order
			}
			after = at
			continue
		}
		edits = append(edits, e.line(after, string(dash)+yamledit.Quote(value)+yamledit.EOL(e.source)))
	}
	for value, at := range lineOf {
		if !slices.Contains(list, value) {
			edits = append(edits, yamledit.Edit{Start: yamledit.Offset(e.source, at, 1), End: yamledit.Offset(e.source, at+1, 1)})
		}
	}
	return edits, nil
}

// remove takes out the last of keys, and blocks that are empty then.
func (e *edit) remove(parents []*yaml.Node) ([]yamledit.Edit, error) {
	depth := len(parents) - 1
	for depth > 0 && len(parents[depth].Content) == 2 {
		depth--
	}
	parent := parents[depth]
	i := yamledit.Index(parent, e.keys[depth]) - 1
	key := parent.Content[i]
	if parent.Style&yaml.FlowStyle == 0 {
		return []yamledit.Edit{{Start: yamledit.Offset(e.source, key.Line, 1), End: yamledit.Offset(e.source, e.entryEnd(parent, i)+1, 1)}}, nil
	}
	start := yamledit.Offset(e.source, key.Line, key.Column)
	if i+2 < len(parent.Content) {
		next := parent.Content[i+2]
		return []yamledit.Edit{{Start: start, End: yamledit.Offset(e.source, next.Line, next.Column)}}, nil
	}
	value := parent.Content[i+1]
	_, end, ok := yamledit.Span(e.source, value)
	if value.Kind == yaml.SequenceNode && value.Style&yaml.FlowStyle != 0 {
		_, end, ok = e.flowSpan(value)
	}
	if !ok {
		return nil, e.byHand(value)
	}
	if i > 0 { // the comma in front goes too
		start = bytes.LastIndexByte(e.source[:start], ',')
	}
	return []yamledit.Edit{{Start: max(start, 0), End: end}}, nil
}

// entryEnd is the last line of the entry whose key is n.Content[i]. Comments behind
// it belong to what follows.
func (e *edit) entryEnd(n *yaml.Node, i int) int {
	end := e.blockEnd(n)
	if i+2 < len(n.Content) {
		end = n.Content[i+2].Line - 1
	}
	lines := bytes.Split(e.source, []byte("\n"))
	for end = min(end, len(lines)); end > n.Content[i].Line; end-- {
		line := bytes.TrimSpace(lines[end-1])
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("...")) {
			break
		}
	}
	return end
}

// blockEnd is the last line that can belong to the block n.
func (e *edit) blockEnd(n *yaml.Node) int {
	end := e.lastLine()
	for at := e.root; at != n; {
		inside := false
		for i := 0; i+1 < len(at.Content); i += 2 {
			if !contains(at.Content[i+1], n) {
				continue
			}
			if i+2 < len(at.Content) {
				end = at.Content[i+2].Line - 1
			}
			at, inside = at.Content[i+1], true
			break
		}
		if !inside {
			break
		}
	}
	return end
}

func contains(at, n *yaml.Node) bool {
	return at == n || slices.ContainsFunc(at.Content, func(c *yaml.Node) bool { return contains(c, n) })
}

func (e *edit) lastLine() int { return bytes.Count(e.source, []byte("\n")) + 1 }
