package term

import "github.com/kn-lite/kn-lite/internal/progress"

// Progress returns a Reporter that shows what it is given on stderr.
func (s *IO) Progress() progress.Reporter { return reporter{s} }

type reporter struct{ io *IO }

// Start implements progress.Reporter.
func (r reporter) Start(label string, total int64) progress.Task {
	return reportedTask{r.io.Start(total, "%s", label)}
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

type reportedTask struct{ *Task }

// Update implements progress.Task.
func (t reportedTask) Update(label string) { t.Task.Update("%s", label) }

// Done implements progress.Task.
func (t reportedTask) Done(text string) { t.Task.Done("%s", text) }
