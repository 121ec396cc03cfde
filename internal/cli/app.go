package cli

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/term"
)

// App returns the use cases, connected to this program's surroundings.
func (f *Factory) App() *app.App {
	a := &app.App{
		Settings: f.Config, Registry: f.Registry, Cluster: f.clusterIn,
		Progress: reporter{f.IO},
		Env:      f.Sys.Env, Vars: f.Sys.Vars, Now: f.Sys.Now, Version: currentVersion().Version,
	}
	if f.IO.CanPrompt() {
		a.Prompt = prompt{f.IO}
	}
	return a
}

// prompt asks on the terminal.
type prompt struct{ io *term.IO }

// Secret implements app.Prompt.
func (p prompt) Secret(ctx context.Context, question string) (string, error) {
	return p.io.Secret(ctx, question)
}

// reporter shows progress on the terminal.
type reporter struct{ io *term.IO }

// Start implements progress.Reporter.
func (r reporter) Start(label string, total int64) progress.Task {
	return reporterTask{r.io.Start(total, "%s", label)}
}

// Step implements progress.Reporter.
func (r reporter) Step(text string) { r.io.Step("%s", text) }

// Note implements progress.Reporter.
func (r reporter) Note(text string) { r.io.Note("%s", text) }

// Warn implements progress.Reporter.
func (r reporter) Warn(text string) { r.io.Warn("%s", text) }

// Debug implements progress.Reporter.
func (r reporter) Debug(text string) { r.io.Debug("%s", text) }

// Output implements progress.Reporter.
func (r reporter) Output(text string) { r.io.Raw(text) }

type reporterTask struct{ task *term.Task }

// Update implements progress.Task.
func (t reporterTask) Update(label string) { t.task.Update("%s", label) }

// Add implements progress.Task.
func (t reporterTask) Add(n int64) { t.task.Add(n) }

// Done implements progress.Task.
func (t reporterTask) Done(text string) { t.task.Done("%s", text) }

// Fail implements progress.Task.
func (t reporterTask) Fail() { t.task.Fail() }

// Drop implements progress.Task.
func (t reporterTask) Drop() { t.task.Drop() }
