package app

import (
	"path/filepath"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// imageName is what an image that is built is called.
type imageName struct {
	repository string // REGISTRY/NAME, or a name alone
	tag        string // with its tag
	local      bool   // there is no registry that it is for
}

// ImageTag returns where an image goes: the one that was named, else, when the
// cluster in use is the platform of this machine, that one's registry, else
// func.yaml's image, else NAME in func.yaml's or the settings' registry. namespace
// is the one that was named, if any.
func (a *App) ImageTag(named string, project *function.Function, namespace string) (string, error) {
	if named != "" {
		_, err := registry.ParseTag(named)
		return named, err
	}
	if project == nil {
		return "", fault.New(fault.Usage, "app.image", "", "which image? there is no %s here to tell", function.File)
	}
	prefix, err := a.localRegistry(project, namespace)
	if err != nil {
		return "", err
	}
	if prefix != "" {
		return platformTag(prefix, project.Name), nil
	}
	tag := project.Image
	if tag == "" {
		cfg, err := a.Settings()
		if err != nil {
			return "", err
		}
		prefix := cfg.Registry(project.Registry)
		if prefix == "" {
			return "", fault.New(fault.Usage, "app.registry", project.Name, "no registry is known to put the image into").
				WithHint("`kn-lite local up -d` starts a platform that has one; or set one: KN_LITE_REGISTRY=REGISTRY, or `registry:` in func.yaml")
		}
		tag = prefix + "/" + project.Name + ":latest"
	}
	_, err = registry.ParseTag(tag)
	return tag, err
}

// platformTag is what an image is called in the platform's registry. Knative refuses an
// image whose repository has one letter.
func platformTag(registry, name string) string {
	if len(name) < 2 {
		registry += "/functions"
	}
	return registry + "/" + name + ":latest"
}

// localRegistry returns the registry of the platform of this machine when the
// cluster in use is that platform, else "". What is tried out here is not pushed
// anywhere else, whatever func.yaml and the settings say about the real place.
func (a *App) localRegistry(project *function.Function, namespace string) (string, error) {
	info, err := a.Local.Running()
	if err != nil || info == nil {
		return "", err
	}
	if namespace, err = a.Namespace(namespace, project); err != nil {
		return "", err
	}
	client, err := a.Cluster(namespace)
	if err != nil || client.Server() != info.API {
		return "", nil // whoever needs a cluster hears about it
	}
	return info.Registry(), nil
}

// imageName returns the name of the image that r builds. One that stays on this
// machine needs no registry.
func (a *App) imageName(r *BuildRequest) (imageName, error) {
	known, err := a.knowsRegistry(r.Project)
	if err != nil {
		return imageName{}, err
	}
	if r.Image == "" && !r.Push && !r.Discard && !known {
		name, err := localName(r)
		return imageName{repository: name, tag: name + ":latest", local: true}, err
	}
	tag, err := a.ImageTag(r.Image, r.Project, r.Namespace)
	if err != nil {
		return imageName{}, err
	}
	ref, err := registry.ParseTag(tag)
	return imageName{repository: ref.Name(), tag: tag}, err
}

// localName returns the service's name, or else the folder's.
func localName(r *BuildRequest) (string, error) {
	if r.Project != nil {
		return r.Project.Name, nil
	}
	dir, err := filepath.Abs(r.Dir)
	if err != nil {
		return "", err
	}
	name := filepath.Base(dir)
	return name, function.CheckName(name)
}

// knowsRegistry reports whether something says where the project's image goes.
func (a *App) knowsRegistry(project *function.Function) (bool, error) {
	if project == nil {
		return false, nil
	}
	cfg, err := a.Settings()
	return err == nil && (project.Image != "" || cfg.Registry(project.Registry) != ""), err
}
