package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// document is the OpenAPI document of one group and version.
type document struct {
	raw  []byte
	hash string
}

// openAPI answers on /openapi/v3, with an index of the documents, and below it.
// Documents are made when they are first asked for.
func (s *Server) openAPI(w *response, r *http.Request, path string) error {
	docs := s.documents()
	if path == "" {
		paths := map[string]any{}
		for name, doc := range docs {
			paths[name] = map[string]any{"serverRelativeURL": "/openapi/v3/" + name + "?hash=" + doc.hash}
		}
		return writeJSON(w, whole, http.StatusOK, map[string]any{"paths": paths})
	}
	doc, ok := docs[strings.TrimPrefix(path, "/")]
	if !ok {
		return errNoPath()
	}
	if wantsOnlyProtobuf(r) {
		return notAcceptable()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Etag", `"`+doc.hash+`"`)
	if r.URL.Query().Get("hash") == doc.hash {
		w.Header().Set("Cache-Control", "public, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), doc.hash) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, _ = w.Write(doc.raw)
	return nil
}

// openAPIv2 is a document with nothing in it. kubectl up to 1.28 reads one before it
// applies anything, in protobuf, and does without what it does not find there.
func (s *Server) openAPIv2(w *response, r *http.Request) error {
	if strings.Contains(r.Header.Get("Accept"), "application/com.github.proto-openapi.spec.v2") {
		w.Header().Set("Content-Type", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
		_, _ = w.Write([]byte("\x0a\x032.0")) // field 1, swagger: "2.0"
		return nil
	}
	return writeJSON(w, whole, http.StatusOK, map[string]any{
		"swagger": "2.0", "info": map[string]any{"title": "Kubernetes", "version": s.versionInfo().GitVersion}, "paths": map[string]any{},
	})
}

// wantsOnlyProtobuf is true for clients that fall back to JSON by themselves: they
// ask for one form and, when there is none of it, for the next.
func wantsOnlyProtobuf(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Accept"))
	return err == nil && strings.HasPrefix(media, "application/com.github.proto-openapi")
}

// groupPath is a group and version as it stands in a URL.
func groupPath(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "api/" + gv.Version
	}
	return "apis/" + gv.String()
}

func (s *Server) makeDocuments() map[string]document {
	out := map[string]document{}
	for _, gv := range s.groupVersions() {
		// It is made of maps, lists and words.
		raw, _ := json.Marshal(s.describe(gv))
		sum := sha256.Sum256(raw)
		out[groupPath(gv)] = document{raw, strings.ToUpper(hex.EncodeToString(sum[:]))}
	}
	return out
}

func (s *Server) describe(gv schema.GroupVersion) map[string]any {
	paths, schemas := map[string]any{}, map[string]any{}
	for _, kind := range s.store.Kinds() {
		if kind.GroupVersion() != gv {
			continue
		}
		shape := newShapes(isCustom(kind)).ofObject(kind.New())
		addSchema(schemas, shape)
		if top, ok := schemas[shape.name].(map[string]any); ok {
			top["x-kubernetes-group-version-kind"] = []any{gvk(kind.GroupVersionKind)}
		}
		addPaths(paths, kind, shape.name)
	}
	return map[string]any{
		"openapi":    "3.0.0",
		"info":       map[string]any{"title": "Kubernetes", "version": s.versionInfo().GitVersion},
		"paths":      paths,
		"components": map[string]any{"schemas": schemas},
	}
}

func gvk(k schema.GroupVersionKind) map[string]any {
	return map[string]any{"group": k.Group, "version": k.Version, "kind": k.Kind}
}

// addSchema adds the schema of an object and of all that it is made of.
func addSchema(to map[string]any, s *shape) {
	if _, done := to[s.name]; done {
		return
	}
	properties, required := map[string]any{}, []string{}
	schema := map[string]any{"type": "object", "properties": properties}
	to[s.name] = schema
	if s.doc != "" {
		schema["description"] = s.doc
	}
	for _, f := range s.fields {
		properties[f.name] = fieldSchema(to, f)
		if f.required {
			required = append(required, f.name)
		}
	}
	if len(required) > 0 {
		schema["required"] = required
	}
}

func fieldSchema(to map[string]any, f shapeField) map[string]any {
	out := valueSchema(to, f.shape)
	if _, isRef := out["$ref"]; isRef {
		// Beside a reference nothing else counts.
		out = map[string]any{"allOf": []any{out}}
	}
	if f.doc != "" {
		out["description"] = f.doc
	}
	switch {
	case len(f.keys) > 0:
		out["x-kubernetes-list-type"], out["x-kubernetes-list-map-keys"] = "map", f.keys
	case f.set:
		out["x-kubernetes-list-type"] = "set"
	}
	return out
}

func valueSchema(to map[string]any, s *shape) map[string]any {
	switch s.kind {
	case "object":
		addSchema(to, s)
		return map[string]any{"$ref": "#/components/schemas/" + s.name}
	case "map":
		return map[string]any{"type": "object", "additionalProperties": valueSchema(to, s.elem)}
	case "array":
		return map[string]any{"type": "array", "items": valueSchema(to, s.elem)}
	case "any":
		return map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	case "int-or-string":
		return map[string]any{"x-kubernetes-int-or-string": true, "oneOf": []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}}}
	case "quantity":
		return map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "number"}}}
	}
	out := map[string]any{"type": s.kind}
	if s.format != "" {
		out["format"] = s.format
	}
	return out
}
