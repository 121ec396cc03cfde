// Package render writes an object in the form that a program wants: JSON, YAML, or
// through a template.
package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"text/template"

	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Op is the operation of an error about a template, whose subject is the form's name.
const Op = "render"

// Form is how an object is written.
type Form struct {
	Name     string // json, yaml, jsonpath or go-template
	Template string // of the last two
}

// The forms that an object is written in.
const (
	JSON       = "json"
	YAML       = "yaml"
	JSONPath   = "jsonpath"
	GoTemplate = "go-template"
)

// Parse returns the form that text means, e.g. yaml or jsonpath={.url}; false if none.
func Parse(text string) (Form, bool) {
	name, body, templated := strings.Cut(text, "=")
	switch name {
	case JSON, YAML:
		return Form{Name: name}, !templated
	case JSONPath, GoTemplate:
		return Form{Name: name, Template: body}, templated
	}
	return Form{}, false
}

// Text returns the object in a form. Templates address fields by their JSON names, as
// kubectl's do; a broken one is a usage error.
func (f Form) Text(object any) (string, error) {
	raw, err := encode(object)
	if err != nil || f.Name == JSON {
		return string(raw), err
	}
	if f.Name == YAML {
		text, err := yaml.JSONToYAML(raw)
		return strings.TrimRight(string(text), "\n"), err
	}
	var generic any
	if err := json.Unmarshal(raw, &generic); err != nil {
		return "", err
	}
	var out bytes.Buffer
	if f.Name == JSONPath {
		err = f.jsonPath(&out, generic)
	} else {
		err = f.goTemplate(&out, generic)
	}
	if err != nil {
		return "", &fault.Error{Op: Op, Kind: fault.Usage, Subject: f.Name, Err: err}
	}
	return out.String(), nil
}

func encode(object any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // people read it too, and URLs have & in them
	if err := encoder.Encode(object); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

func (f Form) jsonPath(out *bytes.Buffer, generic any) error {
	body := f.Template
	if !strings.HasPrefix(body, "{") {
		body = "{" + body + "}"
	}
	path := jsonpath.New("output")
	if err := path.Parse(body); err != nil {
		return err
	}
	return path.Execute(out, generic)
}

func (f Form) goTemplate(out *bytes.Buffer, generic any) error {
	t, err := template.New("output").Parse(f.Template)
	if err != nil {
		return err
	}
	return t.Execute(out, generic)
}
