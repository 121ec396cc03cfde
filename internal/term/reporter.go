package term

import "github.com/kn-lite/kn-lite/internal/progress"

// Progress returns a Reporter that shows what it is given on stderr.
func (s *IO) Progress() progress.Reporter { return reporter{s} }

type reporter struct{ io *IO }

// Start implements progress.Reporter.
func (r reporter) Start(label string, total int64) progress.Task {
	return r.io.start(label, total)
}

// Step implements progress.Reporter.
func (r reporter) Step(text string) { r.io.step(text, "") }

// Note implements progress.Reporter.
func (r reporter) Note(text string) { r.io.Note("%s", text) }

// Warn implements progress.Reporter.
func (r reporter) Warn(text string) { r.io.Warn("%s", text) }

// Debug implements progress.Reporter.
func (r reporter) Debug(text string) { r.io.Debug("%s", text) }

// Output implements progress.Reporter.
func (r reporter) Output(text string) { r.io.Raw(text) }
