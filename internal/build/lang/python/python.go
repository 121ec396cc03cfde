// Package python builds Python projects with the host's pip: functions with
// func's ASGI signatures, of HTTP or of events, served by hypercorn, and anything that a Procfile, a
// framework or a main program starts. Dependencies come as wheels for the target
// and never as what this machine would compile; they and the application are
// layers of their own.
package python

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

// Language is Python.
type Language struct{}

var _ lang.Language = Language{}

// defaultBase is used when neither func.yaml nor the settings name a base.
const defaultBase = "docker.io/library/python:3.13-slim"

// Folders in the image.
const (
	home         = "app"          // the project
	dependencies = "dependencies" // what it asks for
	server       = "kn-lite"      // what serves a function
	userBase     = "kn-lite/user" // leads to the dependencies that have .pth files
)

// Name implements lang.Language.
func (Language) Name() string { return "python" }

// Detect implements lang.Language.
func (Language) Detect(project fs.FS) bool {
	for _, name := range append(lockfile.Names(), requirementsFile, projectFile, pipFile, setupFile, "manage.py") {
		if exists(project, name) {
			return true
		}
	}
	return false
}

// Plan implements lang.Language.
func (Language) Plan(_ context.Context, p *lang.Project) (*lang.Plan, error) {
	found, err := inspect(p)
	if err != nil {
		return nil, err
	}
	path := found.searchPath(p.Source.FS())
	last := "/" + dependencies
	if found.start.adds {
		last += ":/" + server + "/lib"
	}
	env := []string{
		"PYTHONPATH=" + strings.Join(append(path, last), ":"),
		// Lines reach the log as they are written, and the image is read only.
		"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1",
		// The user of the image has no home, and libraries want to write there.
		"HOME=/tmp",
		// A folder of PYTHONPATH is no site folder: Python reads .pth files in this one.
		"PYTHONUSERBASE=/" + userBase,
		// Where servers listen that are not told: Knative sets PORT itself.
		"PORT=8080", "UVICORN_HOST=0.0.0.0", "UVICORN_PORT=8080",
	}
	health := ""
	if found.start.serves {
		health = lang.FunctionHealth
	}
	return &lang.Plan{
		Health:     health,
		Style:      found.start.style,
		Base:       lang.Base{Ref: defaultBase},
		Entrypoint: found.start.command,
		Env:        append(env, found.start.env...),
		Path:       []string{"/" + dependencies + "/bin"},
		WorkingDir: "/" + home,
		Unlocked:   found.unlocked(),
		Detail:     found,
	}, nil
}

// Layers implements lang.Language.
func (Language) Layers(ctx context.Context, p *lang.Project, plan *lang.Plan, target lang.Target) ([]lang.Layer, error) {
	found, ok := plan.Detail.(*project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	version, err := targetVersion(ctx, p, target)
	if err != nil {
		return nil, err
	}
	if err := found.checkPython(p.Source.FS(), version, target); err != nil {
		return nil, err
	}
	var layers []lang.Layer
	if found.start.serves || found.start.adds {
		layers = append(layers, serverLayer(p, target, version))
	}
	if len(found.requirements) > 0 {
		dependencies, err := dependencyLayer(p, found, target, version)
		if err != nil {
			return nil, err
		}
		layers = append(layers, dependencies)
	}
	return append(layers, lang.Layer{
		Name: "application",
		Files: func(ctx context.Context) ([]layer.File, func() error, error) {
			ignore, err := source.ReadIgnore(p.Source.FS(), p.Report.Warn, unwanted()...)
			if err != nil {
				return nil, nil, err
			}
			files, err := ignore.Walk(ctx, p.Source, home)
			return files, nil, err
		},
	}), nil
}

// unwanted is what Python and its tools leave behind.
func unwanted() []string {
	return []string{"__pycache__", "*.pyc", ".venv", "venv", "*.egg-info", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".nox", "/build", "/dist"}
}
