package builder

import (
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// Names that users choose by. Auto is no builder: it is the choice by what is in
// the folder.
const (
	Auto       = "auto"
	Layers     = "layers"
	Dockerfile = "dockerfile"
	Cluster    = "cluster"
	Kaniko     = "kaniko"
)

// Set holds the builders that there are.
type Set struct {
	Builders []Builder
	// Find looks for a builder that is not in Builders: a program. It returns nil
	// where there is none of that name. Find may be nil.
	Find func(name string) (Builder, error)
	// List returns the names that Find knows. It may be nil.
	List func() []string
}

// Names returns what Choose accepts, for help and completion.
func (s *Set) Names() []string {
	names := []string{Auto}
	for _, b := range s.Builders {
		names = append(names, b.Name())
	}
	if s.List != nil {
		for _, name := range s.List() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// Choose returns the builder called name, and for Auto or "" the one that r asks
// for: by its language if that is known and nothing speaks of a Dockerfile, else by
// the Dockerfile.
func (s *Set) Choose(name string, r Request) (Builder, error) {
	if name == "" || name == Auto {
		name = Layers
		if r.wantsDockerfile() {
			name = Dockerfile
		}
	}
	for _, b := range s.Builders {
		if b.Name() == name {
			return b, nil
		}
	}
	if s.Find != nil {
		if b, err := s.Find(name); err != nil || b != nil {
			return b, err
		}
	}
	names := s.Names()
	err := fault.New(fault.Usage, "builder.choose", name, "unknown builder")
	if near := fault.Nearest(name, names); near != "" {
		return nil, err.WithHint("did you mean %q?", near)
	}
	return nil, err.WithHint("use %s", anyOf(names))
}

// anyOf is "a, b or c".
func anyOf(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// wantsDockerfile decides for Auto. To knative/func a runtime "dockerfile" is one
// like others that it has no builder for.
func (r *Request) wantsDockerfile() bool {
	if r.Dockerfile.File != "" || r.Project != nil && r.Project.Runtime == build.DockerfileLanguage {
		return true
	}
	return !knowsLanguage(r.Project) && build.HasDockerfile(r.Dir)
}

// knowsLanguage reports whether the layers builder knows the project's language.
func knowsLanguage(project *function.Function) bool {
	return project != nil && build.Knows(project.Runtime)
}
