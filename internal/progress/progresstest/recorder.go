// Package progresstest records in tests what an operation reports.
package progresstest

import (
	"slices"
	"sync"

	"github.com/kn-lite/kn-lite/internal/progress"
)

// Kinds of what a Recorder records.
const (
	Start  = "start"
	Update = "update"
	Done   = "done"
	Fail   = "fail"
	Drop   = "drop"
	Step   = "step"
	Note   = "note"
	Warn   = "warn"
	Debug  = "debug"
	Output = "output"
)

// Event is one call of a Reporter's or a Task's method.
type Event struct {
	Kind, Text string // Text of Fail and Drop is the task's label
	Bytes      int64  // of Done and Fail: the sum of the task's Adds
}

// Recorder is a progress.Reporter that records everything. Its zero value is ready.
type Recorder struct {
	OnEvent func(Event) // is called for each event; may be nil

	mu     sync.Mutex
	events []Event
}

var _ progress.Reporter = (*Recorder)(nil)

// Events returns what has been recorded so far.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Texts returns the texts of the events of one kind.
func (r *Recorder) Texts(kind string) []string {
	var out []string
	for _, e := range r.Events() {
		if e.Kind == kind {
			out = append(out, e.Text)
		}
	}
	return out
}

// Lines returns each event as its kind and its text, for example "warn old Node".
func (r *Recorder) Lines() []string {
	var out []string
	for _, e := range r.Events() {
		out = append(out, e.Kind+" "+e.Text)
	}
	return out
}

// Reset forgets what has been recorded.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

func (r *Recorder) record(e Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.OnEvent != nil {
		r.OnEvent(e)
	}
}

// Start implements progress.Reporter.
func (r *Recorder) Start(label string, _ int64) progress.Task {
	r.record(Event{Kind: Start, Text: label})
	return &task{to: r, label: label}
}

// Step implements progress.Reporter.
func (r *Recorder) Step(text string) { r.record(Event{Kind: Step, Text: text}) }

// Note implements progress.Reporter.
func (r *Recorder) Note(text string) { r.record(Event{Kind: Note, Text: text}) }

// Warn implements progress.Reporter.
func (r *Recorder) Warn(text string) { r.record(Event{Kind: Warn, Text: text}) }

// Debug implements progress.Reporter.
func (r *Recorder) Debug(text string) { r.record(Event{Kind: Debug, Text: text}) }

// Output implements progress.Reporter.
func (r *Recorder) Output(text string) { r.record(Event{Kind: Output, Text: text}) }

type task struct {
	to *Recorder

	mu    sync.Mutex
	label string
	bytes int64
}

// Update implements progress.Task.
func (t *task) Update(label string) {
	t.mu.Lock()
	t.label = label
	t.mu.Unlock()
	t.to.record(Event{Kind: Update, Text: label})
}

// Add implements progress.Task.
func (t *task) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += n
}

func (t *task) end(kind, text string) {
	t.mu.Lock()
	e := Event{Kind: kind, Text: text, Bytes: t.bytes}
	if text == "" {
		e.Text = t.label
	}
	t.mu.Unlock()
	t.to.record(e)
}

// Done implements progress.Task.
func (t *task) Done(text string) { t.end(Done, text) }

// Fail implements progress.Task.
func (t *task) Fail() { t.end(Fail, "") }

// Drop implements progress.Task.
func (t *task) Drop() { t.end(Drop, "") }
