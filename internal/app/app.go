// Package app is what kn-lite does, as requests and results: build, push, deploy and
// so on, for whoever wants it done: a command, a test, a server. It knows no flag
// and no terminal. Where something is missing that a person could give, its errors
// say what it is, and internal/cli adds how to give it.
//
// A request is a plain struct whose zero values are documented; a result is data.
// Errors are *fault.Error.
package app

import (
	"context"
	"time"

	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/cluster"
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
	Builders *builder.Set

	Progress progress.Reporter
	Prompt   Prompt // nil: there is nobody to ask

	Env     func(string) string
	Vars    []string // the whole environment as KEY=value, for child processes
	Now     func() time.Time
	Version string // of kn-lite
}

// Prompt asks a person.
type Prompt interface {
	// Secret asks for something that is not to be seen, e.g. the password of a key.
	Secret(ctx context.Context, question string) (string, error)
}
