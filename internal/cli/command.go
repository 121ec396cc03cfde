package cli

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// runner returns what a command does with its options: runF, which tests give to
// see what flags become, or run where it is nil.
func runner[O any](f *Factory, runF func(context.Context, *O) error, run func(context.Context, *Factory, *O) error) func(context.Context, *O) error {
	if runF != nil {
		return runF
	}
	return func(ctx context.Context, o *O) error { return run(ctx, f, o) }
}

// bounded runs a command for --timeout at most.
func bounded[O any](run func(context.Context, *Factory, *O) error) func(context.Context, *Factory, *O) error {
	return func(ctx context.Context, f *Factory, o *O) error {
		ctx, cancel := f.withTimeout(ctx, 0)
		defer cancel()
		return run(ctx, f, o)
	}
}

// target returns the service that a command is about, the one that was named on the
// command line (an argument or --service), else the working folder's, and the
// namespace to look for it.
func (f *Factory) target(named string) (app.Target, error) {
	if named != "" {
		if err := function.CheckName(named); err != nil {
			return app.Target{}, err
		}
	}
	project, err := app.FindProject(".")
	switch {
	case err != nil:
		return app.Target{}, err
	case named == "" && project == nil:
		return app.Target{}, fault.Usagef("which service? there is no %s here to tell", function.File).
			WithHint("name it with --service NAME, or go to the function's folder")
	case named == "":
		named = project.Name
	}
	namespace, err := f.namespace(project)
	return app.Target{Namespace: namespace, Service: named}, err
}

// namespaceHere returns the namespace to work in from the working folder, "" for
// the kubeconfig context's own.
func (f *Factory) namespaceHere() (string, error) {
	project, err := app.FindProject(".")
	if err != nil {
		return "", err
	}
	return f.namespace(project)
}
