package builder

import (
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// OptionOp is the Op of errors about a field of Request that the chosen builder has
// no use for. Their Subject is the field's name, e.g. Dockerfile.Target.
const OptionOp = "builder.option"

// RefuseDockerfile refuses options that only a build of a Dockerfile has a use for.
func (r *Request) RefuseDockerfile() error {
	var field string
	switch d := r.Dockerfile; {
	case d.File != "":
		field = "File"
	case d.Target != "":
		field = "Target"
	case len(d.Args) > 0:
		field = "Args"
	case len(d.Secrets) > 0:
		field = "Secrets"
	case d.Repository != "":
		field = "Repository"
	case d.Offline:
		field = "Offline"
	default:
		return nil
	}
	return fault.New(fault.Usage, OptionOp, "Dockerfile."+field, "it is for a Dockerfile, and this is built without one")
}

// RefusePod refuses options that only a build in the cluster has a use for.
func (r *Request) RefusePod() error {
	var field string
	switch p := r.Pod; {
	case p.Image != "":
		field = "Image"
	case p.Namespace != "":
		field = "Namespace"
	case len(p.Resources) > 0:
		field = "Resources"
	default:
		return nil
	}
	return fault.New(fault.Usage, OptionOp, "Pod."+field, "it is for builds in the cluster, and this is built on this machine")
}

// RefuseBaseImage refuses a base image, named by the request or by func.yaml: a
// Dockerfile names its base itself.
func (r *Request) RefuseBaseImage() error {
	named := r.BaseImage
	if named == "" && r.Project != nil {
		named = r.Project.Build.BaseImage
	}
	if named == "" {
		return nil
	}
	return fault.New(fault.Usage, OptionOp, "BaseImage", "it has no meaning for a Dockerfile: its FROM names the base").
		WithHint("make it an ARG: FROM $BASE, with {Dockerfile.Args} BASE=%s", named)
}

// RequireDockerfile refuses a request with no Dockerfile, neither named nor in the
// folder. op is that of the error, and who says what has to have one.
func (r *Request) RequireDockerfile(op, who string) error {
	if r.Dockerfile.File != "" || build.HasDockerfile(r.Dir) {
		return nil
	}
	err := fault.New(fault.NotFound, op, r.Dir, "%s follows a Dockerfile, and there is none here", who)
	if knowsLanguage(r.Project) {
		return err.WithHint("the builder %q builds %s with no Dockerfile; another Dockerfile has to be named", Layers, r.Project.Runtime)
	}
	return err
}
