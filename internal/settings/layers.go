package settings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// Kind says what kind of place a value is from.
type Kind string

// The kinds, strongest first. This is the one place that orders them.
const (
	FromFlag       Kind = "flag"
	FromVariable   Kind = "variable"
	FromProject    Kind = "func.yaml"
	FromFile       Kind = "file"
	FromKubeconfig Kind = "kubeconfig"
	FromDefault    Kind = "default"
)

// Source says where a value is from.
type Source struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name,omitempty"` // --namespace, KN_LITE_REGISTRY, FILE:LINE:COLUMN
}

// Given is a value that the caller has read: from a flag, func.yaml, the kubeconfig.
type Given struct {
	Value string
	Name  string // of its source
}

// entry is a value of a layer: a string or a []string.
type entry struct {
	value any
	name  string
}

// layer is the settings that one place has, by path.
type layer struct {
	kind    Kind
	entries map[string]entry
}

func givenLayer(kind Kind, given map[string]Given) layer {
	l := layer{kind, map[string]entry{}}
	for key, g := range given {
		if g.Value == "" {
			continue
		}
		at := pathOf(key)
		l.entries[at] = entry{value: any(g.Value), name: g.Name}
		if separator := separatorOf(at); separator != "" {
			l.entries[at] = entry{value: split(g.Value, separator), name: g.Name}
		}
	}
	return l
}

// pathOf returns the path of a key such as baseImages.node or mirrors.docker.io.
func pathOf(key string) string {
	if first, rest, below := strings.Cut(key, "."); below && (formOf(first) == byName || formOf(first) == listsByName) {
		return first + keySeparator + rest
	}
	return key
}

// keyOf is the key at path.
func keyOf(path string) string { return strings.Replace(path, keySeparator, ".", 1) }

// merged is all settings in one, where func.yaml has those in project.
func (s *Settings) merged(project map[string]Given) *viper.Viper {
	v := viper.NewWithOptions(viper.KeyDelimiter(keySeparator))
	for _, l := range slices.Backward(s.over(project)) {
		values := map[string]any{}
		for path, e := range l.entries {
			top, below, nested := strings.Cut(path, keySeparator)
			if !nested {
				values[top] = e.value
				continue
			}
			m, _ := values[top].(map[string]any)
			if m == nil {
				m = map[string]any{}
				values[top] = m
			}
			m[below] = e.value
		}
		// It writes into what it is given, and has no error but nil.
		_ = v.MergeConfigMap(values)
	}
	return v
}

// over is the layers, strongest first, where func.yaml has those in project.
func (s *Settings) over(project map[string]Given) []layer {
	if len(project) == 0 {
		return s.layers
	}
	own := givenLayer(FromProject, project)
	i := slices.IndexFunc(s.layers, func(l layer) bool { return l.kind == FromProject })
	if i < 0 { // a zero Settings
		return append([]layer{own}, s.layers...)
	}
	layers := slices.Clone(s.layers)
	entries := maps.Clone(layers[i].entries)
	maps.Copy(entries, own.entries)
	layers[i].entries = entries
	return layers
}

// Setting is a setting with its value and where that is from.
type Setting struct {
	Key       string        `json:"key"`
	Value     any           `json:"value,omitempty"` // a string, a bool or a []string; nil: it is not set
	Source    Source        `json:"source"`
	Overrules []Alternative `json:"overrules,omitempty"` // what is set as well, strongest first
}

// Alternative is a value that a stronger source overrules.
type Alternative struct {
	Value  any    `json:"value"`
	Source Source `json:"source"`
}

// All returns every setting, in the guide's order; of those with names the names that
// are set. What is secret is masked.
func (s *Settings) All() []Setting {
	var out []Setting
	for _, each := range settings() {
		for _, path := range s.paths(each) {
			out = append(out, s.lookup(path))
		}
	}
	return out
}

// Explain is All for one key; of a key with names below it, for all of them.
func (s *Settings) Explain(key string) ([]Setting, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if path := pathOf(key); path != key {
		return []Setting{s.lookup(path)}, nil
	}
	var out []Setting
	for _, path := range s.paths(*settingOf(key)) {
		out = append(out, s.lookup(path))
	}
	return out, nil
}

// paths are those of a setting: itself, or each name below it.
func (s *Settings) paths(each setting) []string {
	if each.key == baseImages {
		var out []string
		for _, language := range Languages() {
			out = append(out, baseImagePath(language))
		}
		return out
	}
	if each.form != listsByName {
		return []string{each.key}
	}
	found := map[string]bool{}
	for _, l := range s.layers {
		for path := range l.entries {
			if strings.HasPrefix(path, each.key+keySeparator) {
				found[path] = true
			}
		}
	}
	if len(found) == 0 {
		return []string{each.key}
	}
	return slices.Sorted(maps.Keys(found))
}

func (s *Settings) lookup(path string) Setting {
	out := Setting{Key: keyOf(path), Source: Source{Kind: FromDefault}}
	top, _, _ := strings.Cut(path, keySeparator)
	found := false
	for _, l := range s.layers {
		e, ok := l.entries[path]
		if !ok {
			continue
		}
		value, source := shown(settingOf(top), e.value), Source{l.kind, e.name}
		if found {
			out.Overrules = append(out.Overrules, Alternative{value, source})
			continue
		}
		out.Value, out.Source, found = value, source, true
	}
	return out
}

// shown is a value as it may be shown.
func shown(of *setting, value any) any {
	switch v := value.(type) {
	case string:
		switch {
		case of.secret:
			return mask
		case of.key == requireSigned:
			return v == "true"
		}
		return hidePassword(v)
	case []string:
		out := make([]string, len(v))
		for i, text := range v {
			out[i] = hidePassword(text)
		}
		return out
	}
	return value
}

// mask stands for what is secret.
const mask = "***"

// hidePassword masks the password in a URL or an address.
func hidePassword(text string) string {
	m := regexp.MustCompile(`^((?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/@:\s]*:)[^/@\s]+(@.*)$`).FindStringSubmatch(text)
	if m == nil || strings.HasPrefix(m[2], "@sha256:") { // node:22@sha256:…
		return text
	}
	return m[1] + mask + m[2]
}

// String names the source to a person.
func (s Source) String() string {
	switch {
	case s.Name == "":
		return string(s.Kind)
	case s.Kind == FromFile || s.Kind == FromProject:
		return s.Name
	}
	return string(s.Kind) + " " + s.Name
}

// Text returns the value as a person reads it: several are separated by commas.
func (s Setting) Text() string { return valueText(s.Value) }

// Text returns the value as Setting.Text does.
func (a Alternative) Text() string { return valueText(a.Value) }

func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []string:
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(value)
}
