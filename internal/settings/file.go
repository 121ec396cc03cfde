package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// maxFile is far above the size of any file of settings.
const maxFile = 64 << 10

// form is how a setting is written in the file.
type form int

const (
	scalar      form = iota
	list             // of scalars; a scalar is a list with commas
	byName           // name → scalar
	listsByName      // name → list
)

// document is a file of settings, read and checked.
type document struct {
	file   string
	values map[string]any    // string, []string, or map[string]any of these, by key
	places map[string]string // file:line:column, by path
	root   *yaml.Node        // nil: there is nothing in it
	source []byte
}

// layer is what the file has.
func (d *document) layer() layer {
	l := layer{FromFile, map[string]entry{}}
	for key, value := range d.values {
		below, nested := value.(map[string]any)
		if !nested {
			l.entries[key] = entry{value, d.places[key]}
			continue
		}
		for name, v := range below {
			path := key + keySeparator + name
			l.entries[path] = entry{v, d.places[path]}
		}
	}
	return l
}

// readFile reads the settings in file. What is in it and has no effect is an
// error: a policy with a slip of the pen must not pass for none.
func readFile(file string, named bool) (*document, error) {
	text, err := source(file, named)
	if err != nil {
		return nil, err
	}
	return parse(file, text)
}

// parse reads settings from the text of a file.
func parse(file string, text []byte) (*document, error) {
	d := &document{file: file, values: map[string]any{}, places: map[string]string{}, source: text}
	if len(text) == 0 {
		return d, nil
	}
	root, err := d.parseRoot(text)
	if err != nil || root == nil {
		return d, err
	}
	d.root = root
	return d, d.mapping(root, "a setting", keys(), func(key string, value *yaml.Node) error {
		d.places[key] = d.at(value)
		return d.set(key, formOf(key), value)
	})
}

func (d *document) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", d.file, n.Line, n.Column) }

// source is the text of file; nothing when there is none and nobody named it.
func source(file string, named bool) ([]byte, error) {
	if file == "" || file == os.DevNull {
		return nil, nil
	}
	text, err := regular.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Usage, "config.load", file, "KN_LITE_CONFIG names this file, and it is not there").
			WithHint("correct the name, or unset KN_LITE_CONFIG")
	case err != nil:
		return nil, fault.New(fault.Usage, "config.load", file, "%w", err)
	case len(text) > maxFile:
		return nil, fault.New(fault.Usage, "config.load", file, "the file has more than %d kB; it cannot be one of settings", maxFile>>10)
	}
	return text, nil
}

// parseRoot returns the mapping that the file is, or nil when nothing is in it.
func (d *document) parseRoot(source []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, d.invalid(err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, d.problem(second.Content[0], "", "a second YAML document, which would have no effect", "put all settings into one")
	case !errors.Is(err, io.EOF):
		return nil, d.invalid(err)
	}
	root := first.Content[0]
	if root.ShortTag() == "!!null" {
		return nil, nil
	}
	return root, nil
}

func (d *document) invalid(err error) error {
	return fault.New(fault.Usage, "config.load", d.file, "%w", err).
		WithHint("the file is YAML; see the configuration page of the guide, or remove it to use the defaults")
}

// mapping goes through the keys of n. Those that are not known are refused; nil
// for known takes all.
func (d *document) mapping(n *yaml.Node, what string, known []string, each func(key string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return d.problem(n, what, "has to be a mapping of keys to values", "")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge":
			return d.problem(name, what, "a key has to be a plain word", "")
		case known != nil && !slices.Contains(known, name.Value):
			return d.problem(name, "", fmt.Sprintf("%s %q is not known", what, name.Value), suggestion(name.Value, known))
		case seen[strings.ToLower(name.Value)]:
			return d.problem(name, "", fmt.Sprintf("%q stands here twice", name.Value), "keep one of them; upper and lower case make no difference")
		}
		seen[strings.ToLower(name.Value)] = true
		if err := each(name.Value, value); err != nil {
			return err
		}
	}
	return nil
}

func suggestion(name string, known []string) string {
	// Whoever has only the case wrong is further away than two letters.
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return fmt.Sprintf("did you mean %q?", k)
		}
	}
	if near := fault.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "there are: " + strings.Join(known, ", ")
}

// set reads the value of one setting.
func (d *document) set(key string, f form, value *yaml.Node) error {
	if value.ShortTag() == "!!null" && value.Kind == yaml.ScalarNode {
		return nil
	}
	switch f {
	case scalar:
		return put(d.values, key, value, key, d.text)
	case list:
		return put(d.values, key, value, key, d.list)
	}
	var known []string
	if key == baseImages {
		known = Languages()
	}
	below := map[string]any{}
	err := d.mapping(value, key+":", known, func(name string, v *yaml.Node) error {
		d.places[key+keySeparator+name] = d.at(v)
		if f == listsByName {
			return put(below, name, v, key+"."+name, d.list)
		}
		return put(below, name, v, key+"."+name, d.text)
	})
	switch {
	case err != nil:
		return err
	case key == baseImages && below["typescript"] == nil && below["node"] != nil:
		// As with the variables.
		below["typescript"] = below["node"]
		d.places[baseImagePath("typescript")] = d.places[baseImagePath("node")]
	case key == "registryCerts":
		d.values[key] = pairs(below)
		return nil
	}
	d.values[key] = below
	return nil
}

// put reads the node at path into m. What is empty is not set.
func put[T string | []string](m map[string]any, key string, n *yaml.Node, path string, read func(path string, n *yaml.Node) (T, error)) error {
	value, err := read(path, n)
	if err == nil && len(value) > 0 {
		m[key] = value
	}
	return err
}

// text reads a scalar. An alias of one is a scalar too; those of larger things
// are refused, since a few of them can stand for gigabytes.
func (d *document) text(path string, n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", d.problem(n, path, "has to be one value", "")
	}
	if n.ShortTag() == "!!null" {
		return "", nil
	}
	return n.Value, nil
}

func (d *document) list(path string, n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		text, err := d.text(path, n)
		if err != nil {
			return nil, d.problem(n, path, "has to be a list", "")
		}
		return split(text, ","), nil
	}
	var out []string
	for _, item := range n.Content {
		text, err := d.text(path, item)
		if err != nil {
			return nil, err
		}
		if text != "" {
			out = append(out, text)
		}
	}
	return out, nil
}

func (d *document) problem(n *yaml.Node, path, message, hint string) error {
	at := d.at(n)
	if path != "" {
		message = strings.TrimSuffix(path, ":") + ": " + message
	}
	err := fault.New(fault.Usage, "config.load", at, "%s", message)
	if hint != "" {
		return err.WithHint("%s", hint)
	}
	return err
}

// pairs are the names of m and their texts, as sorted "name=text".
func pairs(m map[string]any) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s=%s", name, m[name]))
	}
	return out
}
