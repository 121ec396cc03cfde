package app

import (
	"cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// Project loads the func.yaml of dir ("" is the working folder) and reports its
// warnings. A use case calls it once.
func (a *App) Project(dir string) (*function.Function, error) {
	project, err := function.Load(cmp.Or(dir, "."))
	if err != nil {
		return nil, err
	}
	for _, w := range project.Warnings {
		a.report().Warn(w.String())
	}
	return project, nil
}

// optionalProject is Project where there need not be one: then it is nil.
func (a *App) optionalProject(dir string) (*function.Function, error) {
	project, err := FindProject(dir)
	if project != nil {
		for _, w := range project.Warnings {
			a.report().Warn(w.String())
		}
	}
	return project, err
}

// FindProject loads the func.yaml of dir ("" is the working folder); nil where there
// is none. A broken one is an error: guessing past it could hit another service.
func FindProject(dir string) (*function.Function, error) {
	project, err := function.Load(cmp.Or(dir, "."))
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return project, err
}
