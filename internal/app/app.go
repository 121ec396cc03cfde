// Package app is what kn-lite does, as requests and results: build, push, deploy and
// so on, for whoever wants it done: a command, a test, a server. It knows no flag
// and no terminal. Where something is missing that a person could give, its errors
// say what it is, and internal/cli adds how to give it.
//
// A request is a plain struct whose zero values are documented; a result is data.
// Errors are *fault.Error.
package app

import (
	"cmp"
	"context"
	"time"

	"github.com/kn-lite/kn-lite/internal/builder"
	clusterbuilder "github.com/kn-lite/kn-lite/internal/builder/cluster"
	dockerfilebuilder "github.com/kn-lite/kn-lite/internal/builder/dockerfile"
	"github.com/kn-lite/kn-lite/internal/builder/kaniko"
	"github.com/kn-lite/kn-lite/internal/builder/layers"
	"github.com/kn-lite/kn-lite/internal/builder/plugin"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// App is what use cases need of the world. What costs something to open is a
// function, and nothing is opened before it is needed.
type App struct {
	Settings func() (*settings.Settings, error)
	Registry func() (*registry.Client, error)
	Cluster  func(namespace string) (*cluster.Client, error) // "" is the kubeconfig context's own
	Local    local.Place                                     // of the platform of this machine; the zero value is none

	// For the platform of this machine alone.
	RegistryOptions func() (registry.Options, error) // how registries are reached that images are pulled from
	Kubeconfig      cluster.Options                  // whose file names the platform

	Progress progress.Reporter
	Prompt   Prompt // nil: there is nobody to ask

	Env     func(string) string
	Vars    []string // the whole environment as KEY=value, for child processes
	Now     func() time.Time
	Version string // of kn-lite
}

// Prompt asks a person.
type Prompt interface {
	Ask(ctx context.Context, question string) (string, error)
	// Secret asks for something that is not to be seen, e.g. the password of a key.
	Secret(ctx context.Context, question string) (string, error)
}

// report returns where progress goes, never nil.
func (a *App) report() progress.Reporter {
	if a.Progress == nil {
		return progress.Nop()
	}
	return a.Progress
}

// Builders returns the builders that there are.
func (a *App) Builders() *builder.Set {
	host := a.builderHost()
	return &builder.Set{
		Builders: []builder.Builder{layers.New(host), dockerfilebuilder.New(host), clusterbuilder.New(host), kaniko.New(host)},
		Find:     func(name string) (builder.Builder, error) { return plugin.Open(host, a.Env("PATH"), name) },
		List:     func() []string { return plugin.Names(a.Env("PATH")) },
	}
}

func (a *App) builderHost() *builder.Host {
	return &builder.Host{Registry: a.Registry, Cluster: a.Cluster, Push: a.pushArtifact, Now: a.Now, Version: a.Version}
}

// Namespace returns the one to work in, or "" for the kubeconfig context's own: the
// one that was named, else KN_LITE_NAMESPACE, func.yaml's, the settings'.
func (a *App) Namespace(named string, project *function.Function) (string, error) {
	if named != "" {
		return named, nil
	}
	cfg, err := a.Settings()
	if err != nil {
		return "", err
	}
	if project == nil {
		return cfg.NamespaceOver(""), nil
	}
	// Deploy.Namespace is where func put it the last time.
	return cfg.NamespaceOver(cmp.Or(project.Namespace, project.Deploy.Namespace)), nil
}
