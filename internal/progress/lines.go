package progress

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// APIVersion is that of the events. Their fields and types only ever grow.
const APIVersion = "kn-lite.dev/v1"

// Event is one line of Lines. docs/guide/events.md is the contract.
type Event struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"` // Event
	Time       time.Time `json:"time"`
	Type       string    `json:"type"`
	Task       int       `json:"task,omitempty"`  // of start, update, progress, done, fail and drop
	Label      string    `json:"label,omitempty"` // what the task is doing or waiting for
	Bytes      int64     `json:"bytes,omitempty"` // that are done
	Total      int64     `json:"total,omitempty"` // bytes of the task
	Text       string    `json:"text,omitempty"`
	Error      *Failure  `json:"error,omitempty"`
}

// Failure is an error in an event.
type Failure struct {
	Reason   string `json:"reason,omitempty"`
	Op       string `json:"op,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	ExitCode int    `json:"exitCode,omitempty"` // only of the error that ends the command
}

// bytesEvery is how often at most a task reports its bytes.
const bytesEvery = 500 * time.Millisecond

// Lines is a Reporter that writes each event as a line of JSON.
type Lines struct {
	now func() time.Time

	mu    sync.Mutex
	w     io.Writer
	tasks int
}

var _ Reporter = (*Lines)(nil)

// NewLines returns a Reporter that writes to w; each line is one Write.
func NewLines(w io.Writer, now func() time.Time) *Lines { return &Lines{w: w, now: now} }

func (l *Lines) write(e Event) {
	e.APIVersion, e.Kind, e.Time = APIVersion, "Event", l.now().UTC()
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	// Text and numbers can always be encoded, and there is nowhere to say that nobody reads.
	_ = encoder.Encode(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(line.Bytes())
}

// Start implements Reporter.
func (l *Lines) Start(label string, total int64) Task {
	l.mu.Lock()
	l.tasks++
	t := &linesTask{to: l, id: l.tasks, label: label, total: total, reported: l.now()}
	l.mu.Unlock()
	l.write(Event{Type: "start", Task: t.id, Label: label, Total: total})
	return t
}

// Step implements Reporter.
func (l *Lines) Step(text string) { l.write(Event{Type: "step", Text: text}) }

// Note implements Reporter.
func (l *Lines) Note(text string) { l.write(Event{Type: "note", Text: text}) }

// Warn implements Reporter.
func (l *Lines) Warn(text string) { l.write(Event{Type: "warning", Text: text}) }

// Debug implements Reporter.
func (l *Lines) Debug(text string) { l.write(Event{Type: "debug", Text: text}) }

// Output implements Reporter.
func (l *Lines) Output(text string) { l.write(Event{Type: "output", Text: text}) }

// Fail writes an error.
func (l *Lines) Fail(failure Failure) { l.write(Event{Type: "error", Error: &failure}) }

type linesTask struct {
	to    *Lines
	id    int
	total int64

	mu       sync.Mutex
	label    string
	bytes    int64
	reported time.Time // when bytes were reported last
}

// Update implements Task.
func (t *linesTask) Update(label string) {
	t.mu.Lock()
	same := t.label == label
	t.label = label
	t.mu.Unlock()
	if !same {
		t.write("update", "")
	}
}

// Add implements Task.
func (t *linesTask) Add(n int64) {
	now := t.to.now()
	t.mu.Lock()
	t.bytes += n
	due := now.Sub(t.reported) >= bytesEvery
	if due {
		t.reported = now
	}
	t.mu.Unlock()
	if due {
		t.write("progress", "")
	}
}

// Done implements Task.
func (t *linesTask) Done(text string) { t.write("done", text) }

// Fail implements Task.
func (t *linesTask) Fail() { t.write("fail", "") }

// Drop implements Task.
func (t *linesTask) Drop() { t.write("drop", "") }

func (t *linesTask) write(kind, text string) {
	t.mu.Lock()
	e := Event{Type: kind, Task: t.id, Label: t.label, Bytes: t.bytes, Total: t.total, Text: text}
	t.mu.Unlock()
	t.to.write(e)
}
