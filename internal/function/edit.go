package function

import (
	"bytes"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
	"github.com/kn-lite/kn-lite/internal/yamledit"
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
	if len(problems) == 0 && (!yamledit.SameBut(f.doc.root, next.doc.root, keys) || valueAt(next.doc.root, keys) != value) {
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
		child := yamledit.Child(n, key)
		if child == nil {
			return doc.insert(n, keys, i, value)
		}
		n = child
	}
	start, end, ok := yamledit.Span(doc.source, n)
	if !ok {
		return nil, doc.byHand(n, strings.Join(keys, "."), value)
	}
	if n.Value == value && !yamledit.IsNull(n) {
		return doc.source, nil
	}
	text := yamledit.Quote(value)
	if yamledit.IsNull(n) && start == end {
		text = " " + text // "image:" has nothing after its colon
	}
	return yamledit.Apply(doc.source, yamledit.Edit{Start: start, End: end, Text: text}), nil
}

// insert adds keys[missing:] to the mapping n: in front of its first entry, or,
// at the top of the file, after the line of the name.
func (doc *document) insert(n *yaml.Node, keys []string, missing int, value string) ([]byte, error) {
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
		return nil, doc.byHand(n, strings.Join(keys, "."), value)
	}
	eol := yamledit.EOL(doc.source)
	first := n.Content[0]
	indent := strings.Repeat(" ", first.Column-1)
	at := yamledit.Offset(doc.source, first.Line, 1)
	if name := yamledit.Child(n, "name"); missing == 0 && name != nil {
		if _, end, ok := yamledit.Span(doc.source, name); ok {
			if i := bytes.IndexByte(doc.source[end:], '\n'); i >= 0 {
				at = end + i + 1
			}
		}
	}
	var text strings.Builder
	for i, key := range keys[missing:] {
		text.WriteString(indent + strings.Repeat("  ", i) + key + ":")
		if missing+i == len(keys)-1 {
			text.WriteString(" " + yamledit.Quote(value))
		}
		text.WriteString(eol)
	}
	return yamledit.Apply(doc.source, yamledit.Edit{Start: at, End: at, Text: text.String()}), nil
}

func valueAt(n *yaml.Node, keys []string) string {
	for _, key := range keys {
		if n = yamledit.Child(n, key); n == nil {
			return ""
		}
	}
	return n.Value
}
