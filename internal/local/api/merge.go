package api

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// merging is the shape of the kinds as server-side apply wants it.
type merging struct {
	parser typed.Parser
	types  map[schema.GroupVersionKind]string
	done   map[*shape]string
}

// anyType is the name of what may be any JSON.
const anyType = "any"

func newMerging(kinds []*store.Kind) *merging {
	m := &merging{types: map[schema.GroupVersionKind]string{}, done: map[*shape]string{}}
	untyped := smd.Untyped
	m.parser.Schema.Types = append(m.parser.Schema.Types, smd.TypeDef{Name: anyType, Atom: smd.Atom{
		Scalar: &untyped,
		List:   &smd.List{ElementType: named(anyType), ElementRelationship: smd.Atomic},
		Map:    &smd.Map{ElementType: named(anyType), ElementRelationship: smd.Separable},
	}})
	for prefix, group := range map[string]bool{"core.": false, "custom.": true} {
		s := newShapes(group)
		for _, kind := range kinds {
			if isCustom(kind) == group {
				m.types[kind.GroupVersionKind] = m.define(prefix, s.ofObject(kind.New()))
			}
		}
	}
	return m
}

func named(name string) smd.TypeRef { return smd.TypeRef{NamedType: &name} }

// define adds the type of an object and returns its name.
func (m *merging) define(prefix string, s *shape) string {
	if name, ok := m.done[s]; ok {
		return name
	}
	name := prefix + s.name
	m.done[s] = name
	at := len(m.parser.Schema.Types)
	m.parser.Schema.Types = append(m.parser.Schema.Types, smd.TypeDef{Name: name})
	def := &smd.Map{}
	for _, f := range s.fields {
		def.Fields = append(def.Fields, smd.StructField{Name: f.name, Type: m.field(prefix, f)})
	}
	m.parser.Schema.Types[at].Map = def
	return name
}

func (m *merging) field(prefix string, f shapeField) smd.TypeRef {
	if f.shape.kind != "array" {
		return m.ref(prefix, f.shape)
	}
	list := &smd.List{ElementType: m.ref(prefix, f.shape.elem), ElementRelationship: smd.Atomic}
	switch {
	case len(f.keys) > 0:
		list.ElementRelationship, list.Keys = smd.Associative, f.keys
	case f.set:
		list.ElementRelationship = smd.Associative
	}
	return smd.TypeRef{Inlined: smd.Atom{List: list}}
}

func (m *merging) ref(prefix string, s *shape) smd.TypeRef {
	scalar := smd.Untyped
	switch s.kind {
	case "object":
		return named(m.define(prefix, s))
	case "map":
		return smd.TypeRef{Inlined: smd.Atom{Map: &smd.Map{ElementType: m.ref(prefix, s.elem), ElementRelationship: smd.Separable}}}
	case "array":
		return m.field(prefix, shapeField{shape: s})
	case "any":
		return named(anyType)
	case "string":
		scalar = smd.String
	case "boolean":
		scalar = smd.Boolean
	case "integer", "number":
		scalar = smd.Numeric
	}
	return smd.TypeRef{Inlined: smd.Atom{Scalar: &scalar}}
}

// ObjectToTyped and TypedToObject are for managedfields, which sees the objects
// of a request as the types above.
func (m *merging) ObjectToTyped(object runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	kind := m.parser.Type(m.types[object.GetObjectKind().GroupVersionKind()])
	if u, ok := object.(*unstructured.Unstructured); ok {
		return kind.FromUnstructured(u.UnstructuredContent(), options...)
	}
	return kind.FromStructured(object, options...)
}

// TypedToObject is the way back.
func (m *merging) TypedToObject(value *typed.TypedValue) (runtime.Object, error) {
	content, ok := value.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, reason("the configuration is not an object")
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// There is one version of each kind, and defaults are admission's.

func (m *merging) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}

func (m *merging) Convert(_, _, _ any) error { return reason("kinds have one version only") }

func (m *merging) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

func (m *merging) Default(runtime.Object) {}

// New is an object with nothing in it.
func (m *merging) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(kind)
	return out, nil
}
