package cli

import (
	"context"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/ci"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/internal/term"
)

// Factory hands each command what it needs, lazily: --help and completion
// neither read a file nor open a connection.
type Factory struct {
	Sys    *System
	IO     *term.IO
	Flags  globalFlags
	Config func() (*settings.Settings, error) // settings; read once

	// Cluster depends on the flags, the working folder's func.yaml, Config and the kubeconfig.
	Cluster func() (*cluster.Client, error)

	registry     registryAccess
	typed        func(string) string       // a text with commands as a person types them here
	answered     any                       // what was printed last, for pipelines
	status       int                       // the exit code of a command that has found no error
	settingFlags map[string]settings.Given // flags on the command line that overrule settings
}

// globalFlags are accepted by every command.
type globalFlags struct {
	Namespace  string
	Context    string
	Kubeconfig string
	Output     string
	Color      string
	Quiet      bool
	Verbose    bool
	NoInput    bool
	Timeout    time.Duration // 0: the command's own default
	CI         string        // auto, github, gitlab or none
	ResultFile string
}

func newFactory(sys *System) *Factory {
	f := &Factory{Sys: sys, IO: sys.IO, typed: func(text string) string { return text }}
	f.Config = sync.OnceValues(func() (*settings.Settings, error) {
		cfg, err := settings.Load(settingSources(f))
		if err != nil {
			return nil, err
		}
		for _, w := range cfg.Warnings {
			f.IO.Warn("%s", w)
		}
		return cfg, nil
	})
	f.Cluster = sync.OnceValues(f.openCluster)
	return f
}

// applyGlobals makes the global flags take effect, before any command runs.
func (f *Factory) applyGlobals() error {
	switch {
	case f.Flags.Quiet:
		f.IO.Verbosity = term.Quiet
	case f.Flags.Verbose:
		f.IO.Verbosity = term.Verbose
	}
	f.IO.NoInput = f.Flags.NoInput
	if f.Flags.Output == eventsOutput {
		f.IO.UseEvents(f.Sys.Now)
	}
	if err := checkColor(f.Flags.Color); err != nil {
		return err
	}
	f.IO.SetColor(f.Flags.Color)
	if _, err := ci.Choose(f.Flags.CI, f.Sys.Env); err != nil {
		return err
	}
	if f.Flags.Timeout < 0 {
		return fault.Usagef("--timeout %s: must not be negative", f.Flags.Timeout)
	}
	return checkOutput(f.Flags.Output)
}

// withTimeout bounds ctx by --timeout, else by the command's own def; 0 is no bound.
func (f *Factory) withTimeout(ctx context.Context, def time.Duration) (context.Context, context.CancelFunc) {
	if f.Flags.Timeout > 0 {
		def = f.Flags.Timeout
	}
	if def <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, def)
}
