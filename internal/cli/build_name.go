package cli

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// imageName is what an image that is built is called.
type imageName struct {
	repository string // REGISTRY/NAME, or a name alone
	tag        string // with its tag
	local      bool   // there is no registry that it is for
}

// buildName is the name of the image that o builds. One that stays on this machine
// needs no registry.
func (f *Factory) buildName(o *buildOptions, project *function.Function) (imageName, error) {
	known, err := f.knowsRegistry(project)
	if err != nil {
		return imageName{}, err
	}
	if o.Image == "" && !o.Push && !known {
		name, err := o.localName(f, project)
		return imageName{repository: name, tag: name + ":latest", local: true}, err
	}
	tag, err := f.imageTag(o.Image, project)
	if err != nil {
		return imageName{}, err
	}
	ref, err := registry.ParseTag(tag)
	return imageName{repository: ref.Name(), tag: tag}, err
}

// localName is the service's name, or else the folder's.
func (o *buildOptions) localName(f *Factory, project *function.Function) (string, error) {
	if project != nil {
		return project.Name, nil
	}
	return projectName(f, o.Dir)
}

// knowsRegistry reports whether something says where the project's image goes.
func (f *Factory) knowsRegistry(project *function.Function) (bool, error) {
	if project == nil {
		return false, nil
	}
	cfg, err := f.Config()
	return err == nil && (project.Image != "" || cfg.Registry(project.Registry) != ""), err
}

// leaveForPush leaves the image in the project's folder.
func (f *Factory) leaveForPush(ctx context.Context, built *builtImage, dir string, name imageName) error {
	if name.local {
		if err := built.keep(ctx, dir, name.tag, ""); err != nil {
			return err
		}
		f.IO.Note("not pushed, and no registry is set: kn-lite push%s --image REGISTRY/%s sends it to one", dirSuffix(dir), name.repository)
		return nil
	}
	if err := built.keep(ctx, dir, name.tag, name.tag); err != nil {
		return err
	}
	f.IO.Note("not pushed: kn-lite push%s sends it to %s", dirSuffix(dir), name.tag)
	return nil
}
