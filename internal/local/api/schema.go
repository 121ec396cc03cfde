package api

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// shape says what JSON a Go type is, so far as clients want to know: it is what
// the OpenAPI documents and server-side apply are made from.
type shape struct {
	name   string // of an object with fields; "" for all else
	kind   string // object, map, array, string, integer, number, boolean, any, int-or-string
	format string
	doc    string
	fields []shapeField
	elem   *shape
}

type shapeField struct {
	name     string
	shape    *shape
	doc      string
	required bool
	keys     []string // of a list that is merged by these fields of its elements
	set      bool     // a list whose elements are unlike each other
}

// shapes are the shapes of Go types. Knative's kinds, which a cluster has by
// CustomResourceDefinitions, merge fewer lists than Kubernetes' own.
type shapes struct {
	custom bool
	known  map[reflect.Type]*shape
}

// described is a type of Kubernetes that says what its fields are.
type described interface{ SwaggerDoc() map[string]string }

// typedSchema is a type whose JSON is not that of its Go fields.
type typedSchema interface{ OpenAPISchemaType() []string }

type formatted interface{ OpenAPISchemaFormat() string }

func newShapes(custom bool) *shapes { return &shapes{custom, map[reflect.Type]*shape{}} }

func (s *shapes) ofObject(object any) *shape { return s.of(reflect.TypeOf(object)) }

func (s *shapes) of(t reflect.Type) *shape {
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem())
	}
	if known := s.known[t]; known != nil {
		return known
	}
	if special := specialShape(t); special != nil {
		return special
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.object(t)
	case reflect.Map:
		return &shape{kind: "map", elem: s.of(t.Elem())}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &shape{kind: "string", format: "byte"}
		}
		return &shape{kind: "array", elem: s.of(t.Elem())}
	case reflect.String:
		return &shape{kind: "string"}
	case reflect.Bool:
		return &shape{kind: "boolean"}
	case reflect.Int32:
		return &shape{kind: "integer", format: "int32"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint32:
		return &shape{kind: "integer", format: "int64"}
	case reflect.Float32, reflect.Float64:
		return &shape{kind: "number", format: "double"}
	}
	return &shape{kind: "any"}
}

// specialShape is the shape of a type that writes its JSON itself.
func specialShape(t reflect.Type) *shape {
	value := reflect.New(t).Interface()
	switch o := value.(type) {
	case *runtime.RawExtension, *metav1.FieldsV1:
		return &shape{kind: "any"}
	case *resource.Quantity:
		return &shape{kind: "quantity"}
	case typedSchema:
		out := &shape{kind: o.OpenAPISchemaType()[0]}
		if f, ok := value.(formatted); ok {
			out.format = f.OpenAPISchemaFormat()
		}
		if out.format == "int-or-string" {
			out.kind = "int-or-string"
		}
		return out
	case json.Marshaler, encoding.TextMarshaler:
		return &shape{kind: "string"}
	}
	return nil
}

func (s *shapes) object(t reflect.Type) *shape {
	out := &shape{name: schemaName(t), kind: "object"}
	s.known[t] = out // before its fields, which may be of this type
	docs := docsOf(t)
	out.doc = docs[""]
	for i := range t.NumField() {
		s.addField(out, t.Field(i), docs)
	}
	return out
}

func (s *shapes) addField(out *shape, f reflect.StructField, docs map[string]string) {
	tag, ok := f.Tag.Lookup("json")
	name, options, _ := strings.Cut(tag, ",")
	switch {
	case name == "-" || !f.IsExported() && !f.Anonymous:
		return
	case f.Anonymous && name == "":
		// The fields of what is embedded are its own.
		inner := s.of(f.Type)
		out.fields = append(out.fields, inner.fields...)
		return
	case !ok:
		return
	}
	field := shapeField{name: name, shape: s.of(f.Type), doc: docs[name], required: !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero")}
	s.addMerge(&field, f)
	if name == "status" || name == "metadata" || name == "spec" {
		field.required = false
	}
	out.fields = append(out.fields, field)
}

// addMerge says how server-side apply merges the field. Kubernetes says so of its
// own kinds in tags; CustomResourceDefinitions of Knative name four lists.
func (s *shapes) addMerge(field *shapeField, f reflect.StructField) {
	if field.shape.kind != "array" {
		return
	}
	key := f.Tag.Get("patchMergeKey")
	merges := strings.Contains(f.Tag.Get("patchStrategy"), "merge")
	switch {
	case field.name == "ownerReferences":
		field.keys = []string{"uid"}
	case field.name == "finalizers":
		field.set = true
	case s.custom:
		switch field.name {
		case "env", "volumes", "imagePullSecrets":
			field.keys = []string{"name"}
		case "volumeMounts":
			field.keys = []string{"mountPath"}
		}
	case field.name == "ports" && key != "":
		field.keys = []string{key, "protocol"}
	case merges && key != "":
		field.keys = []string{key}
	case merges:
		field.set = true
	}
}

func docsOf(t reflect.Type) map[string]string {
	// Types of Knative embed types of Kubernetes, and their documentation with them.
	if strings.HasPrefix(t.PkgPath(), "knative.dev/") {
		return knativeDocs(t.Name())
	}
	if d, ok := reflect.New(t).Interface().(described); ok {
		return d.SwaggerDoc()
	}
	return nil
}

// schemaName is the name of a type in a cluster's OpenAPI documents.
func schemaName(t reflect.Type) string {
	path := strings.Split(t.PkgPath(), "/")
	host := strings.Split(path[0], ".")
	for i, j := 0, len(host)-1; i < j; i, j = i+1, j-1 {
		host[i], host[j] = host[j], host[i]
	}
	return strings.Join(append(host, append(path[1:], t.Name())...), ".")
}
