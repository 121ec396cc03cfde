package cli

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/term"
)

// App returns the use cases, connected to this program's surroundings.
func (f *Factory) App() *app.App {
	a := &app.App{
		Settings: f.Config, Registry: f.Registry, Cluster: f.clusterIn,
		Local: f.localPlace(), RegistryOptions: f.registryOptions, Kubeconfig: f.clusterOptions(""),
		Progress: f.IO.Progress(),
		Env:      f.Sys.Env, Vars: f.Sys.Vars, Now: f.Sys.Now, Version: currentVersion().Version,
	}
	if f.IO.CanPrompt() {
		a.Prompt = prompt{f.IO}
	}
	return a
}

// prompt asks on the terminal.
type prompt struct{ io *term.IO }

// Ask implements app.Prompt.
func (p prompt) Ask(ctx context.Context, question string) (string, error) {
	return p.io.Ask(ctx, question)
}

// Secret implements app.Prompt.
func (p prompt) Secret(ctx context.Context, question string) (string, error) {
	return p.io.Secret(ctx, question)
}
