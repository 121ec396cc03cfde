package function

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// schemaFile is for editors: it completes keys and knows the type of each.
const schemaFile = "../../docs/func.schema.json"

// TestSchema holds docs/func.schema.json against the keys that are read; UPDATE=1
// writes it.
func TestSchema(t *testing.T) {
	top := schemaOf(reflect.TypeFor[Function](), "")
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "func.yaml of kn-lite and knative/func, specVersion " + SpecVersion
	top["required"] = []string{"name"}
	text, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := string(text) + "\n"
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(schemaFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is stale, run `make update`: %s", schemaFile, diff)
	}
	if n := strings.Count(want, `"type"`); n < 80 {
		t.Errorf("%d types only: are all keys there?", n)
	}
}

// schemaOf returns the JSON schema of a type at a path of keys. Keys that are not
// known are allowed, as in the file itself.
func schemaOf(of reflect.Type, path string) map[string]any {
	switch of {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[EnvValue]():
		return map[string]any{"type": scalars(), "description": "a value, or {{ env:NAME }}, {{ secret:NAME:KEY }}, {{ secret:NAME }}, {{ configMap:NAME:KEY }}, {{ configMap:NAME }}"}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return schemaOf(of.Elem(), path)
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(of.Elem(), path)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(of.Elem(), path)}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Struct:
		keys := map[string]any{}
		for field := range of.Fields() {
			if key := field.Tag.Get("yaml"); key != "" && key != "-" {
				keys[key] = schemaOf(field.Type, strings.TrimPrefix(path+"."+key, "."))
			}
		}
		return map[string]any{"type": "object", "properties": keys}
	}
	return text(path)
}

// text returns the schema of a string. Quantities may be written as numbers.
func text(path string) map[string]any {
	for _, end := range []string{".cpu", ".memory", ".sizeLimit", ".pvcSize", ".startTimeout"} {
		if strings.HasSuffix(path, end) {
			return map[string]any{"type": scalars()}
		}
	}
	one := map[string][]string{
		"invoke":                      {"", "http", "cloudevent"},
		"deployer":                    {"", "knative", "raw", "keda"},
		"deploy.deployer":             {"", "knative", "raw", "keda"},
		"deploy.options.scale.metric": {"", "concurrency", "rps"},
	}
	if values, ok := one[path]; ok {
		return map[string]any{"type": "string", "enum": values}
	}
	return map[string]any{"type": "string"}
}

func scalars() []string { return []string{"string", "number", "boolean"} }
