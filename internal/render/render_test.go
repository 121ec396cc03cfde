package render

import (
	"errors"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Form{
		"json":                {Name: JSON},
		"yaml":                {Name: YAML},
		"jsonpath={.a}={.b}":  {Name: JSONPath, Template: "{.a}={.b}"},
		"go-template={{.a}}":  {Name: GoTemplate, Template: "{{.a}}"},
		"jsonpath=":           {Name: JSONPath},
		"":                    {},
		"table":               {},
		"xml":                 {},
		"json=x":              {},
		"jsonpath":            {},
		"JSON":                {},
		"go-template-file=/x": {},
	} {
		got, ok := Parse(text)
		if ok != (want.Name != "") || ok && got != want {
			t.Errorf("%q: %+v, %t", text, got, ok)
		}
	}
}

func TestText(t *testing.T) {
	object := struct {
		URL   string   `json:"url"`
		Items []string `json:"items"`
		Empty string   `json:"empty,omitempty"`
	}{URL: "http://x/?a=1&b=<2>", Items: []string{"a", "b"}}
	for form, want := range map[Form]string{
		{Name: JSON}:                       "{\n  \"url\": \"http://x/?a=1&b=<2>\",\n  \"items\": [\n    \"a\",\n    \"b\"\n  ]\n}",
		{Name: YAML}:                       "items:\n- a\n- b\nurl: http://x/?a=1&b=<2>",
		{Name: JSONPath, Template: ".url"}: "http://x/?a=1&b=<2>",
		{Name: JSONPath, Template: "{.items[*]}"}:               "a b",
		{Name: GoTemplate, Template: "{{index .items 1}}"}:      "b",
		{Name: GoTemplate, Template: "{{range .items}}{{end}}"}: "",
	} {
		if got, err := form.Text(object); err != nil || got != want {
			t.Errorf("%+v: %q, %v", form, got, err)
		}
	}
}

func TestBrokenTemplates(t *testing.T) {
	for _, form := range []Form{
		{Name: JSONPath, Template: "{.x"},
		{Name: JSONPath, Template: "{.none}"},
		{Name: GoTemplate, Template: "{{"},
		{Name: GoTemplate, Template: "{{.a.b.c}}"},
	} {
		_, err := form.Text(map[string]string{"a": "1"})
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Usage || e.Op != Op || e.Subject != form.Name || !strings.HasPrefix(err.Error(), form.Name+": ") {
			t.Errorf("%+v: %v", form, err)
		}
	}
	if _, err := (Form{Name: JSON}).Text(func() {}); err == nil || fault.KindOf(err) == fault.Usage {
		t.Errorf("what has no JSON: %v", err)
	}
}
