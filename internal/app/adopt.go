package app

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/scaffold"
)

// AdoptRequest asks for a func.yaml for the code in a folder.
type AdoptRequest struct {
	Dir      string
	Name     string // of the service; "" is the folder's
	Language string // "" is what the folder has
}

// AdoptResult is a folder that is a project now.
type AdoptResult struct {
	*build.Recognised
	Name    string
	File    string   // its func.yaml
	Written []string // files beside it
}

// Adopt looks at the code in a folder without running anything, and writes a func.yaml
// for it.
func (a *App) Adopt(ctx context.Context, r AdoptRequest) (*AdoptResult, error) {
	if err := scaffold.Unadopted(r.Dir); err != nil {
		return nil, err
	}
	found, err := build.Recognise(ctx, r.Dir, r.Language, WithoutSecrets(a.Vars))
	if err != nil {
		return nil, err
	}
	cfg, err := a.Settings()
	if err != nil {
		return nil, err
	}
	if found.Language != build.DockerfileLanguage {
		found.Base = cmp.Or(cfg.BaseImage(found.Language, ""), found.Base)
	}
	name := r.Name
	if name == "" {
		if name, err = ProjectName(r.Dir); err != nil {
			return nil, err
		}
	}
	var variables [][2]string
	if len(found.Reads) > 0 {
		variables = append(variables, [2]string{build.KeepVariable, strings.Join(found.Reads, ":")})
	}
	if err := scaffold.Adopt(r.Dir, name, found.Runtime, found.Files, variables, a.Now()); err != nil {
		return nil, err
	}
	return &AdoptResult{
		Recognised: found, Name: name,
		File: filepath.Join(r.Dir, function.File), Written: slices.Sorted(maps.Keys(found.Files)),
	}, nil
}

// ProjectName returns the name of the project in dir, which need not be there yet: the
// folder's, if it can be one.
func ProjectName(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", &fault.Error{Op: "func.create", Subject: dir, Err: err}
	}
	name := filepath.Base(absolute)
	return name, function.CheckName(name)
}
