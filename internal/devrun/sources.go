package devrun

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/mirror"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// Project is a folder that package build knows how to build.
type Project struct {
	Dir string // absolute
	// Settings are read anew for each build: what to build, and the variables of the
	// process, as KEY=value.
	Settings func() (spec build.Spec, env []string, err error)
	Stage    string // folder for the files of the program
}

// NewMaker returns the Maker of a project. Close ends its use.
func NewMaker(project Project) *ProjectMaker {
	return &ProjectMaker{project: project, mirror: &mirror.Mirror{Root: project.Stage}, answers: &lang.Answers{}}
}

// ProjectMaker makes programs of a project as package build makes images of it.
type ProjectMaker struct {
	project Project
	mirror  *mirror.Mirror
	last    *Program
	answers *lang.Answers

	mu      sync.Mutex
	watched *build.Prepared // whose rules say what counts
}

var _ Maker = (*ProjectMaker)(nil)

// Make implements Maker.
func (m *ProjectMaker) Make(ctx context.Context) (program *Program, changed bool, err error) {
	spec, env, err := m.project.Settings()
	if err != nil {
		return nil, false, err
	}
	spec.Answers = m.answers
	prepared, err := build.Prepare(ctx, spec)
	if err != nil {
		return nil, false, err
	}
	made, err := prepared.Unpack(ctx, m.mirror)
	if err = errors.Join(err, prepared.Close()); err != nil {
		return nil, false, err
	}
	program = &Program{
		Command: made.Command, Env: append(made.Env, env...), Path: made.Path, Dir: made.Dir, Health: made.Health,
		Shown: []Shown{{From: filepath.Join(m.project.Stage, "app"), To: m.project.Dir}},
	}
	changed = made.Changed || m.last == nil || !slices.Equal(program.Command, m.last.Command) ||
		!slices.Equal(program.Env, m.last.Env) || !slices.Equal(program.Path, m.last.Path) || program.Dir != m.last.Dir
	m.last = program
	return program, changed, nil
}

// Sources implements Maker. What counts is what decides the key of a build, and
// func.yaml and the ignore files beside it.
func (m *ProjectMaker) Sources(ctx context.Context) (*Sources, error) {
	spec, _, err := m.project.Settings()
	if err != nil {
		return nil, err
	}
	spec.Progress = nil // Make says it
	prepared, err := build.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	folders, files, err := prepared.Watched(ctx)
	if err != nil {
		return nil, errors.Join(err, prepared.Close())
	}
	for _, name := range []string{function.File, source.IgnoreFile, ".gitignore"} {
		files = append(files, filepath.Join(m.project.Dir, name))
	}
	out := &Sources{Files: files}
	for _, f := range folders {
		ignored, err := gitIgnored(f.Dir)
		if err != nil {
			return nil, errors.Join(err, prepared.Close())
		}
		out.Folders = append(out.Folders, Folder{Dir: f.Dir, Skip: skipper(f.Skip, ignored)})
	}
	return out, m.watch(prepared)
}

func gitIgnored(dir string) (func(name string) bool, error) {
	tree, err := source.Open(dir)
	if fault.KindOf(err) == fault.NotFound {
		return func(string) bool { return false }, nil // as the build will say
	}
	if err != nil {
		return nil, err
	}
	ignored, err := source.GitIgnored(tree.FS())
	return ignored, errors.Join(err, tree.Close())
}

// skipper asks skip, one goroutine at a time, and leaves out what tools write that
// is no part of a project either.
func skipper(skip func(name string, dir bool) (out, prune bool), ignored func(name string) bool) func(name string, dir bool) (out, prune bool) {
	var mu sync.Mutex
	return func(name string, dir bool) (out, prune bool) {
		mu.Lock()
		defer mu.Unlock()
		if ignored(name) {
			return true, false
		}
		if skip == nil {
			return false, false
		}
		return skip(name, dir)
	}
}

// watch leaves prepared open as long as its rules are in use, which read files.
func (m *ProjectMaker) watch(prepared *build.Prepared) error {
	m.mu.Lock()
	before := m.watched
	m.watched = prepared
	m.mu.Unlock()
	if before == nil {
		return nil
	}
	return before.Close()
}

// Close ends the use of the project.
func (m *ProjectMaker) Close() error { return m.watch(nil) }
