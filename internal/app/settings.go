package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// SettingsHere returns the settings that hold in the working folder, from everywhere:
// sources, the folder's func.yaml and the kubeconfig.
func (a *App) SettingsHere(sources settings.Sources) (*settings.Settings, error) {
	project, err := FindProject(".")
	if err != nil {
		return nil, err
	}
	sources.Project = a.projectSettings(project)
	// Without a kubeconfig, or with a broken one, there is nothing that it says.
	if client, err := a.Cluster(""); err == nil {
		sources.Kubeconfig = map[string]settings.Given{"namespace": {Value: client.Namespace(), Name: "context " + client.Context()}}
	}
	s, err := settings.Load(sources)
	if err != nil {
		return nil, err
	}
	for _, w := range s.Warnings {
		a.report().Warn(w)
	}
	return s, nil
}

// projectSettings are the settings that a func.yaml has.
func (a *App) projectSettings(project *function.Function) map[string]settings.Given {
	out := map[string]settings.Given{}
	if project == nil {
		return out
	}
	add := func(key, value, path string) {
		if value != "" && out[key].Value == "" {
			out[key] = settings.Given{Value: value, Name: project.Position(path)}
		}
	}
	add("registry", project.Registry, "registry")
	add("namespace", project.Namespace, "namespace")
	add("namespace", project.Deploy.Namespace, "deploy.namespace")
	if slices.Contains(a.Builders().Names(), project.Build.Builder) {
		add("builder", project.Build.Builder, "build.builder")
	}
	for _, language := range settings.Languages() {
		if project.Runtime == language || !slices.Contains(settings.Languages(), project.Runtime) {
			add("baseImages."+language, project.Build.BaseImage, "build.baseImage")
		}
	}
	return out
}

// SettingChange is what has become of a change of the user's file.
type SettingChange struct {
	settings.Update
	// Now is what holds in the working folder after it: the setting, or those that a
	// group has. Empty for one that is none, and where that is not known.
	Now []settings.Setting
}

// Overruled returns the settings of the change that a stronger source has, too.
func (c *SettingChange) Overruled() []settings.Setting {
	var out []settings.Setting
	for _, s := range c.Now {
		switch s.Source.Kind {
		case settings.FromFlag, settings.FromVariable, settings.FromProject:
			out = append(out, s)
		}
	}
	return out
}

// SetSetting writes a setting into the user's file.
func (a *App) SetSetting(ctx context.Context, sources settings.Sources, key, value string) (*SettingChange, error) {
	return a.settingChange(sources, key)(settings.Set(ctx, a.Env, key, value))
}

// UnsetSetting removes a setting from the user's file.
func (a *App) UnsetSetting(ctx context.Context, sources settings.Sources, key string) (*SettingChange, error) {
	return a.settingChange(sources, key)(settings.Unset(ctx, a.Env, key))
}

func (a *App) settingChange(sources settings.Sources, key string) func(*settings.Update, error) (*SettingChange, error) {
	return func(done *settings.Update, err error) (*SettingChange, error) {
		if err != nil {
			return nil, err
		}
		if done.Changed {
			a.report().Step(fmt.Sprintf("changed %s in %s", key, done.File))
		} else {
			a.report().Note(fmt.Sprintf("%s is so already: nothing was changed in %s", key, done.File))
		}
		out := &SettingChange{Update: *done, Now: []settings.Setting{}}
		s, err := a.SettingsHere(sources)
		if err != nil {
			a.report().Warn("what commands use in this folder is not known: " + err.Error())
			return out, nil
		}
		if explained, err := s.Explain(key); err == nil { // not of a key that is none, and was removed
			out.Now = explained
		}
		return out, nil
	}
}
