package app

import (
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// ProcessSpec returns how the project in dir becomes a process of this machine, for
// internal/devrun. project is its func.yaml, nil where there is none.
func (a *App) ProcessSpec(dir string, project *function.Function) (build.Spec, error) {
	r := BuildRequest{Dir: dir, Project: project, BuildOptions: BuildOptions{AllowMissingLock: true}}
	request, err := a.builderRequest(&r)
	if err != nil {
		return build.Spec{}, err
	}
	b, err := a.Builders().Choose(builder.Auto, request)
	if err != nil {
		return build.Spec{}, err
	}
	runner, ok := b.(builder.Runner)
	if !ok {
		return build.Spec{}, fault.New(fault.Usage, "run", dir, "only its Dockerfile says how it is started, and that makes an image, not a process of this machine").
			WithHint("run the image: kn-lite local up, then kn-lite deploy")
	}
	if err := a.applySettings(&request); err != nil {
		return build.Spec{}, err
	}
	return runner.RunSpec(request)
}
