package app

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/builder/plugin"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// BuilderInfo is a builder that can be chosen.
type BuilderInfo struct {
	Name     string   `json:"name"`
	File     string   `json:"file,omitempty"`     // of a plugin; "" is built in
	Shadowed []string `json:"shadowed,omitempty"` // plugins of the same name that do not count
}

// ListBuilders returns those that are built in and the plugins on PATH.
func (a *App) ListBuilders() []BuilderInfo {
	var out []BuilderInfo
	for _, b := range a.Builders().Builders {
		out = append(out, BuilderInfo{Name: b.Name()})
	}
	for _, p := range plugin.List(a.Env("PATH")) {
		info := BuilderInfo{Name: p.Name, File: p.File, Shadowed: p.Shadowed}
		if a.builtIn(p.Name) {
			info.Shadowed = append([]string{p.File}, p.Shadowed...)
			info.File = ""
			out = merge(out, info)
			continue
		}
		out = append(out, info)
	}
	return out
}

// merge adds what is shadowed to the builder of the same name.
func merge(all []BuilderInfo, info BuilderInfo) []BuilderInfo {
	for i := range all {
		if all[i].Name == info.Name {
			all[i].Shadowed = info.Shadowed
		}
	}
	return all
}

func (a *App) builtIn(name string) bool {
	for _, b := range a.Builders().Builders {
		if b.Name() == name {
			return true
		}
	}
	return false
}

// CheckBuilderRequest says which plugin to check, and with which project.
type CheckBuilderRequest struct {
	Name string
	BuildRequest
}

// CheckBuilder tries whether a plugin keeps to the contract for builders. found is
// called with each finding.
func (a *App) CheckBuilder(ctx context.Context, r CheckBuilderRequest, found func(plugin.Finding)) error {
	if a.builtIn(r.Name) {
		return fault.New(fault.Usage, "app.checkBuilder", r.Name, "the builder is built in: there is no program to check")
	}
	r.Builder = r.Name
	b, request, err := a.chooseBuilder(&r.BuildRequest)
	if err != nil {
		return err
	}
	p, ok := b.(*plugin.Builder)
	if !ok {
		return fault.New(fault.NotFound, "app.checkBuilder", r.Name, "there is no such plugin")
	}
	return p.CheckContract(ctx, request, found)
}
