// Package node builds Node.js projects with the host's npm: functions with a
// handle(context, body), served by faas-js-runtime, and anything with a start
// script. Dependencies and the application are layers of their own.
package node

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// Language is Node.js.
type Language struct{}

var _ lang.Language = Language{}

// defaultBase is used when neither func.yaml nor the settings name a base.
const defaultBase = "docker.io/library/node:22-slim"

// home is the folder of the project in the image.
const home = "app"

// Name implements lang.Language.
func (Language) Name() string { return "node" }

// Detect implements lang.Language.
func (Language) Detect(project fs.FS) bool {
	return exists(project, manifestFile) && !TypeScript{}.Detect(project)
}

// Plan implements lang.Language.
func (Language) Plan(ctx context.Context, p *lang.Project) (*lang.Plan, error) {
	project, err := inspect(ctx, p)
	if err != nil {
		return nil, err
	}
	// As the managers have it: programs of the dependencies are found by name.
	programs := []string{"/" + project.home() + "/node_modules/.bin"}
	if project.workspace != nil {
		programs = append(programs, "/"+home+"/node_modules/.bin")
	}
	return &lang.Plan{
		Style:      project.start.style,
		Base:       lang.Base{Ref: defaultBase},
		Entrypoint: project.start.command,
		Env:        append([]string{"NODE_ENV=production"}, project.start.env...),
		Path:       programs,
		WorkingDir: "/" + project.home(),
		Advice:     project.advice(),
		Unlocked:   project.unlocked(),
		Detail:     project,
	}, nil
}

// Layers implements lang.Language.
func (Language) Layers(ctx context.Context, p *lang.Project, plan *lang.Plan, target lang.Target) ([]lang.Layer, error) {
	project, ok := plan.Detail.(*project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	p = project.at(p)
	var layers []lang.Layer
	if project.start.static {
		// What the site needs of its dependencies is in its files.
		layers = append(layers, siteLayer())
	} else if project.manifest.hasDependencies() {
		dependencies, err := dependencies(ctx, p, project, target)
		if err != nil {
			return nil, err
		}
		layers = append(layers, *dependencies)
	}
	if project.runs() {
		t := &transpile{project: p, found: project}
		key, err := t.key(ctx)
		return append(layers, lang.Layer{Name: "application", From: "what the scripts make of the project's files", Key: key, Files: t.run}), err
	}
	return append(layers, lang.Layer{
		Name: "application",
		From: "the project's files without those that are ignored",
		Files: func(ctx context.Context) ([]layer.File, func() error, error) {
			ignore, err := project.ignore(p.Source.FS(), p.Report.Warn, "node_modules")
			if err != nil {
				return nil, nil, err
			}
			files, err := ignore.Walk(ctx, p.Source, home)
			return files, nil, err
		},
	}), nil
}
