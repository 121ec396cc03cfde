package function

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/yamledit"
)

const (
	// maxVisits bounds what aliases may blow a file up to.
	maxVisits = 100_000
	// maxMerges bounds the nesting of << keys, which may point at themselves.
	maxMerges = 20
	// maxProblems keeps the report of a hopeless file readable.
	maxProblems = 20
)

// mark is where a path stands in the file, under the name that it has there.
type mark struct {
	line, col int
	path      string
}

// decoder fills structs from nodes by their yaml tags. yaml.v3's own decoder
// names no columns, stops caring about keys it does not know, and counts a
// second key of the same name as an error without saying where the first is.
type decoder struct {
	file     string
	problems []Problem
	warnings []Problem
	marks    map[string]mark
	visits   int
	newer    bool // the file is from a schema that we do not know
}

func (d *decoder) problem(n *yaml.Node, path, hint, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{File: d.file, Line: n.Line, Col: n.Column, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

func (d *decoder) warn(n *yaml.Node, path, hint string, typo bool, format string, args ...any) {
	if len(d.warnings) < maxProblems {
		d.warnings = append(d.warnings, Problem{File: d.file, Line: n.Line, Col: n.Column, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint, Typo: typo})
	}
}

// spent counts a visit and reports whether the file has used up its share.
func (d *decoder) spent(n *yaml.Node) bool {
	d.visits++
	if d.visits == maxVisits {
		d.problem(n, "", "", "the file's aliases blow up to more than %d values", maxVisits)
	}
	return d.visits >= maxVisits
}

// value fills v from n.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if d.spent(n) {
		return
	}
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if yamledit.IsNull(n) {
		// An emptied block ("envs:" with its entries commented out) is usual;
		// an emptied setting is worth a word.
		if kind := v.Kind(); kind != reflect.Struct && kind != reflect.Map && kind != reflect.Slice || isScalarStruct(v) {
			d.warn(at, path, "give it a value or remove the line", false, "has no value and counts as absent")
		}
		return
	}
	d.marks[path] = mark{line: at.Line, col: at.Column, path: path}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case isScalarStruct(v) || v.Kind() != reflect.Struct && v.Kind() != reflect.Map && v.Kind() != reflect.Slice:
		if n.Kind != yaml.ScalarNode {
			d.wrongKind(at, n, path, v)
			return
		}
		d.scalar(at, n, v, path)
	case v.Kind() == reflect.Struct:
		d.structure(at, n, path, v)
	case v.Kind() == reflect.Map:
		d.stringMap(at, n, v, path)
	case v.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.wrongKind(at, n, path, v)
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			if d.spent(item) {
				return
			}
			d.value(item, list.Index(i), path+"["+strconv.Itoa(i)+"]")
		}
		v.Set(list)
	}
}

func isScalarStruct(v reflect.Value) bool {
	switch v.Interface().(type) {
	case time.Time, EnvValue:
		return true
	}
	return false
}

// scalar takes the text as it stands for strings: `value: 1.10` is 1.10 and
// `value: no` is no, as func reads them.
func (d *decoder) scalar(at, n *yaml.Node, v reflect.Value, path string) {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch target := v.Addr().Interface().(type) {
	case *string:
		*target = n.Value
	case *bool:
		if quoted || n.Decode(target) != nil {
			d.problem(at, path, "use true or false, without quotes", "%s is not a yes or no", shown(n))
		}
	case *int64:
		if quoted || n.ShortTag() != "!!int" || n.Decode(target) != nil {
			d.problem(at, path, numberHint(quoted, n), "%s is not a whole number", shown(n))
		}
	case *float64:
		if tag := n.ShortTag(); quoted || tag != "!!int" && tag != "!!float" || n.Decode(target) != nil {
			d.problem(at, path, numberHint(quoted, n), "%s is not a number", shown(n))
		}
	case *time.Time:
		parsed, err := time.Parse(time.RFC3339Nano, n.Value)
		if err != nil && n.Decode(&parsed) != nil {
			d.problem(at, path, "write it like 2026-08-22T10:30:00Z", "%s is not a time", shown(n))
		}
		*target = parsed
	case *EnvValue:
		parsed, err := ParseEnvValue(n.Value)
		if err != nil {
			d.problem(at, path, "", "%s", err)
		}
		*target = parsed
	}
}

func numberHint(quoted bool, n *yaml.Node) string {
	if _, err := strconv.ParseFloat(n.Value, 64); quoted && err == nil {
		return "remove the quotes"
	}
	return ""
}

func shown(n *yaml.Node) string {
	const limit = 40
	if r := []rune(n.Value); len(r) > limit {
		return strconv.Quote(string(r[:limit]) + "…")
	}
	return strconv.Quote(n.Value)
}

func (d *decoder) wrongKind(at, n *yaml.Node, path string, v reflect.Value) {
	wanted, hint := "a single value", ""
	switch {
	case isScalarStruct(v) || v.Kind() == reflect.String:
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 {
			hint = "put quotes around a template: '{{ env:NAME }}'"
		}
	case v.Kind() == reflect.Slice:
		wanted = "a list"
		if v.Type().Elem() == reflect.TypeFor[Env]() {
			hint = "write each as \"- name: NAME\" with \"value: VALUE\" below it"
		}
	case v.Kind() == reflect.Struct, v.Kind() == reflect.Map:
		wanted = "a mapping"
	}
	d.problem(at, path, hint, "is %s, and has to be %s", kindName(n), wanted)
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "the single value " + shown(n)
}

func (d *decoder) stringMap(at, n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.wrongKind(at, n, path, v)
		return
	}
	m := map[string]string{}
	for _, e := range d.entries(n, path, 0) {
		if d.spent(e.key) {
			return
		}
		var text string
		d.value(e.value, reflect.ValueOf(&text).Elem(), path+"."+e.key.Value)
		m[e.key.Value] = text
	}
	v.Set(reflect.ValueOf(m))
}

// structure fills the fields of one or more structs from a mapping: the root of
// an old file has keys of two layouts.
func (d *decoder) structure(at, n *yaml.Node, path string, structs ...reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.wrongKind(at, n, path, structs[0])
		return
	}
	fields := map[string]reflect.Value{}
	var known []string
	for _, s := range structs {
		for i := range s.NumField() {
			tag := s.Type().Field(i).Tag.Get("yaml")
			if _, taken := fields[tag]; tag != "" && tag != "-" && !taken {
				fields[tag] = s.Field(i)
				known = append(known, tag)
			}
		}
	}
	for _, e := range d.entries(n, path, 0) {
		key := e.key.Value
		if field, found := fields[key]; found {
			d.value(e.value, field, join(path, key))
			continue
		}
		d.unknown(e.key, path, known)
	}
}

func (d *decoder) unknown(key *yaml.Node, path string, known []string) {
	if moved := movedTo(path, key.Value); moved != "" {
		d.warn(key, path, "it is "+moved+" since func's 0.34", true, "unknown key %q has no effect", key.Value)
		return
	}
	near := fault.Nearest(key.Value, known)
	if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, key.Value) }); i >= 0 {
		near = known[i]
	}
	hint := ""
	if near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.warn(key, path, hint, near != "" && !d.newer, "unknown key %q", key.Value)
}

type entry struct{ key, value *yaml.Node }

// entries lists a mapping with its << merges resolved: the mapping's own keys
// win, then earlier merges. A key that stands there twice is a problem.
func (d *decoder) entries(n *yaml.Node, path string, depth int) []entry {
	var own []entry
	var merges []*yaml.Node
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if d.spent(key) {
			return own
		}
		if key.Kind == yaml.AliasNode {
			key = &yaml.Node{Kind: key.Alias.Kind, Value: key.Alias.Value, Tag: key.Alias.Tag, Line: key.Line, Column: key.Column}
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			d.problem(key, path, "put quotes around a template: '{{ env:NAME }}'", "a key is %s, and has to be text", kindName(key))
		case key.Tag == "!!merge":
			merges = append(merges, value)
		case first[key.Value] != nil:
			d.problem(key, path, "", "the key %q is already in line %d", key.Value, first[key.Value].Line)
		default:
			first[key.Value] = key
			own = append(own, entry{key, value})
		}
	}
	for _, merge := range merges {
		for _, e := range d.merged(merge, path, depth) {
			if first[e.key.Value] == nil {
				first[e.key.Value] = e.key
				own = append(own, e)
			}
		}
	}
	return own
}

func (d *decoder) merged(n *yaml.Node, path string, depth int) []entry {
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case d.spent(at):
		return nil
	case depth >= maxMerges:
		d.problem(at, path, "", "<< keys are nested more than %d deep", maxMerges)
		return nil
	case n.Kind == yaml.MappingNode:
		return d.entries(n, path, depth+1)
	case n.Kind == yaml.SequenceNode:
		var list []entry
		for _, item := range n.Content {
			list = append(list, d.merged(item, path, depth+1)...)
			if d.visits >= maxVisits {
				return list
			}
		}
		return list
	}
	d.problem(at, path, "", "<< takes a mapping or a list of mappings, not %s", kindName(n))
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
