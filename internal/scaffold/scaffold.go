// Package scaffold makes new function projects from the embedded templates.
package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/templates"
)

// Language is one that functions can be written in.
type Language struct {
	Name  string   `json:"name"`  // as in func.yaml's runtime
	Title string   `json:"title"` // for people
	Kinds []string `json:"kinds"` // kinds of function, the default first
	Test  string   `json:"test"`  // command that runs the unit tests of a new project
}

// DefaultKind is the kind of a function when none is named.
const DefaultKind = "http"

// Spec is what to make.
type Spec struct {
	Dir      string // where; it and its parents are made if need be
	Name     string // the function's name
	Language string
	Kind     string // "" means DefaultKind
	Created  time.Time
	Force    bool // write into a folder that has files in it
}

// Languages lists what there is, by name.
func Languages() []Language {
	list := []Language{
		{Name: "go", Title: "Go", Test: "go test ./..."},
		{Name: "java", Title: "Java on Spring Boot", Test: "mvn test"},
		{Name: "node", Title: "JavaScript on Node.js", Test: "npm ci && npm test"},
		{Name: "python", Title: "Python (ASGI)", Test: "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"},
		{Name: "rust", Title: "Rust (actix-web)", Test: "cargo test"},
		{Name: "typescript", Title: "TypeScript on Node.js", Test: "npm ci && npm test"},
	}
	for i := range list {
		list[i].Kinds = kinds(list[i].Name)
	}
	return list
}

// kinds are the folders of a language, the default first.
func kinds(language string) []string {
	entries, err := fs.ReadDir(templates.FS, language)
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() && e.Name() == DefaultKind {
			list = slices.Insert(list, 0, e.Name())
		} else if e.IsDir() {
			list = append(list, e.Name())
		}
	}
	return list
}

// Find is the language of that name, or one that people call by it.
func Find(name string) (Language, error) {
	languages := Languages()
	var names []string
	for _, l := range languages {
		if l.Name == canonical(name) {
			return l, nil
		}
		names = append(names, l.Name)
	}
	err := fault.New(fault.Usage, "scaffold.create", "", "there is no template for the language %q", name)
	if near := fault.Nearest(strings.ToLower(name), names); near != "" {
		return Language{}, err.WithHint("did you mean %q?\nlanguages: %s", near, strings.Join(names, ", "))
	}
	return Language{}, err.WithHint("languages: %s", strings.Join(names, ", "))
}

// canonical turns what people call a language into its name.
func canonical(name string) string {
	switch name = strings.ToLower(name); name {
	case "golang":
		return "go"
	case "springboot", "spring-boot", "spring":
		return "java"
	case "nodejs", "node.js", "js", "javascript":
		return "node"
	case "ts":
		return "typescript"
	case "py", "python3":
		return "python"
	case "rs":
		return "rust"
	}
	return name
}

// file is one file of a project.
type file struct {
	name    string // slash-separated, relative to the project
	content []byte
}

// render makes a project's files in memory.
func render(spec Spec) ([]file, error) {
	language, err := Find(spec.Language)
	if err != nil {
		return nil, err
	}
	kind := spec.Kind
	if kind == "" {
		kind = DefaultKind
	}
	if !slices.Contains(language.Kinds, kind) {
		err := fault.New(fault.Usage, "scaffold.create", "", "there is no %s template for %s", kind, language.Name)
		if near := fault.Nearest(kind, language.Kinds); near != "" {
			return nil, err.WithHint("did you mean %q?\ntemplates for %s: %s", near, language.Name, strings.Join(language.Kinds, ", "))
		}
		return nil, err.WithHint("templates for %s: %s", language.Name, strings.Join(language.Kinds, ", "))
	}
	if err := function.CheckName(spec.Name); err != nil {
		return nil, err
	}
	root, err := fs.Sub(templates.FS, path.Join(language.Name, kind))
	if err != nil {
		return nil, err
	}
	values := struct{ Name, SpecVersion, Created string }{spec.Name, function.SpecVersion, spec.Created.UTC().Format(time.RFC3339)}
	var files []file
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if target, found := strings.CutSuffix(name, ".tmpl"); found {
			tmpl, err := template.New(name).Option("missingkey=error").Parse(string(content))
			var out bytes.Buffer
			if err = errors.Join(err, tmpl.Execute(&out, values)); err != nil {
				return fmt.Errorf("template %s: %w", name, err)
			}
			name, content = target, out.Bytes()
		}
		files = append(files, file{name: name, content: content})
		return nil
	})
	return files, err
}
