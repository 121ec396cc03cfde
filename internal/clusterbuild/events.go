package clusterbuild

import (
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// event is one line of the pod's log. Lines that are none are shown as they are.
type event struct {
	Kind      string     `json:"kind"` // one of the kinds below
	ID        int        `json:"id,omitempty"`
	Text      string     `json:"text,omitempty"`
	OK        bool       `json:"ok,omitempty"`
	Platforms []Platform `json:"platforms,omitempty"`
}

const (
	eventReady  = "Ready" // the pod listens
	eventTaken  = "Taken" // it has all of the context
	eventBegin  = "Begin" // a task begins: ID, Text
	eventUpdate = "Update"
	eventEnd    = "End" // it has ended: ID, OK, and Text if there is something to say
	eventStep   = "Step"
	eventNote   = "Note"
	eventWarn   = "Warn"
	eventRaw    = "Raw" // output of a program
	eventResult = "Result"
	eventError  = "Error" // as kn-lite -o json reports one; the termination message has it too
)

// Log is a progress.Reporter that writes lines of JSON, which the client reads from
// the pod's log and reports as its own.
type Log struct {
	mu    sync.Mutex
	w     io.Writer
	tasks int
}

var _ progress.Reporter = (*Log)(nil)

// minTransfer is the size of a transfer that takes long enough for lines in the log.
const minTransfer = 1 << 20

// NewLog writes to w.
func NewLog(w io.Writer) *Log { return &Log{w: w} }

func (l *Log) write(e event) {
	// Marshalling text and numbers cannot fail.
	line, _ := json.Marshal(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	// A log that cannot be written has nobody to tell it to.
	_, _ = l.w.Write(append(line, '\n'))
}

// Start implements progress.Reporter.
func (l *Log) Start(label string, total int64) progress.Task {
	if total > 0 && total < minTransfer {
		return progress.Nop().Start(label, total)
	}
	l.mu.Lock()
	l.tasks++
	id := l.tasks
	l.mu.Unlock()
	l.write(event{Kind: eventBegin, ID: id, Text: label})
	return &logTask{log: l, id: id}
}

// logTask is a task whose beginning and end are in the log.
type logTask struct {
	log *Log
	id  int
}

// Update implements progress.Task.
func (t *logTask) Update(label string) { t.log.write(event{Kind: eventUpdate, ID: t.id, Text: label}) }

// Add implements progress.Task. How far a transfer has come is not worth lines.
func (t *logTask) Add(int64) {}

// Done implements progress.Task.
func (t *logTask) Done(text string) {
	t.log.write(event{Kind: eventEnd, ID: t.id, Text: text, OK: true})
}

// Fail implements progress.Task.
func (t *logTask) Fail() { t.log.write(event{Kind: eventEnd, ID: t.id}) }

// Drop implements progress.Task.
func (t *logTask) Drop() { t.log.write(event{Kind: eventEnd, ID: t.id, OK: true}) }

// Ready says that the pod listens.
func (l *Log) Ready() { l.write(event{Kind: eventReady}) }

// Taken says that all of the context is there.
func (l *Log) Taken() { l.write(event{Kind: eventTaken}) }

// Step implements progress.Reporter.
func (l *Log) Step(text string) { l.write(event{Kind: eventStep, Text: text}) }

// Debug implements progress.Reporter. A pod's log has no levels.
func (l *Log) Debug(string) {}

// Note implements progress.Reporter.
func (l *Log) Note(text string) { l.write(event{Kind: eventNote, Text: text}) }

// Warn implements progress.Reporter.
func (l *Log) Warn(text string) { l.write(event{Kind: eventWarn, Text: text}) }

// Output implements progress.Reporter.
func (l *Log) Output(text string) { l.write(event{Kind: eventRaw, Text: text}) }

// Result says what was built.
func (l *Log) Result(platforms []Platform) { l.write(event{Kind: eventResult, Platforms: platforms}) }

// podLog tells the lines of a log to a report.
type podLog struct {
	report progress.Reporter
	tasks  map[int]progress.Task
	result []Platform
	ready  chan struct{} // closed when the pod listens
	taken  chan struct{} // closed when it has all of the context
	last   []string      // lines that were not kn-lite's: of a crash, or of another program
}

func newPodLog(report progress.Reporter) *podLog {
	return &podLog{report: report, tasks: map[int]progress.Task{}, ready: make(chan struct{}), taken: make(chan struct{})}
}

func (s *podLog) line(text string) error {
	var e event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		e = event{}
	}
	switch e.Kind {
	case eventReady:
		once(s.ready)
	case eventTaken:
		once(s.taken)
	case eventBegin:
		s.tasks[e.ID] = s.report.Start(e.Text, 0)
	case eventUpdate:
		if task := s.tasks[e.ID]; task != nil {
			task.Update(e.Text)
		}
	case eventEnd:
		s.end(e)
	case eventStep:
		s.report.Step(e.Text)
	case eventNote:
		s.report.Note(e.Text)
	case eventWarn:
		s.report.Warn(e.Text)
	case eventRaw:
		s.report.Output(e.Text)
	case eventResult:
		s.result = e.Platforms
	case eventError:
	default:
		if s.last = append(s.last, text); len(s.last) > 5 {
			s.last = s.last[1:]
		}
		s.report.Output(text)
	}
	return nil
}

// once closes c, unless it is closed.
func once(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// listens reports whether the pod has said that it does.
func (s *podLog) listens() bool { return closed(s.ready) }

// hasAll reports whether the pod has said that it has all of the context.
func (s *podLog) hasAll() bool { return closed(s.taken) }

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// end ends the task of e, if the log has begun it.
func (s *podLog) end(e event) {
	task := s.tasks[e.ID]
	if task == nil {
		return
	}
	delete(s.tasks, e.ID)
	switch {
	case !e.OK:
		task.Fail()
	case e.Text == "":
		task.Drop()
	default:
		task.Done(e.Text)
	}
}

// close ends the tasks that the log has no end of.
func (s *podLog) close() {
	for id, task := range s.tasks {
		task.Fail()
		delete(s.tasks, id)
	}
}

// verdict is the pod's termination message. The kubelet keeps 4096 bytes of it
// (https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/).
type verdict struct {
	Digest string   `json:"digest,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

const maxVerdict = 4000

type failure struct {
	Kind    string `json:"kind"`
	Op      string `json:"op,omitempty"`
	Subject string `json:"subject,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Sandbox bool   `json:"sandbox,omitempty"` // the node gave none, whatever was to be built
}

// Verdict is the termination message of a build: a digest or an error.
func Verdict(digest string, err error) []byte {
	v := verdict{Digest: digest}
	if err != nil {
		f := &failure{Kind: fault.KindOf(err).String(), Message: err.Error(), Hint: fault.HintOf(err)}
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Err != nil && e.Error() == err.Error() {
			f.Op, f.Subject, f.Message = e.Op, e.Subject, e.Err.Error()
		}
		f.Sandbox = refusedSandbox(err)
		v = verdict{Error: f}
	}
	for {
		raw, _ := json.Marshal(v) // text only: it cannot fail
		if len(raw) <= maxVerdict || v.Error == nil {
			return raw
		}
		// What is too long is the output of something.
		if n := len(v.Error.Message); n > 200 {
			v.Error.Message = v.Error.Message[:n*3/4] + " …"
		} else {
			v.Error.Hint, v.Error.Subject = "", ""
		}
	}
}

// refusedSandbox looks for the sandbox's own refusal among the causes.
func refusedSandbox(err error) bool {
	for {
		e, ok := errors.AsType[*fault.Error](err)
		if !ok {
			return false
		}
		if e.Op == "sandbox.start" {
			return true
		}
		err = e.Err
	}
}

// readVerdict is the verdict in a termination message, if there is one.
func readVerdict(message string) (verdict, bool) {
	var v verdict
	err := json.Unmarshal([]byte(message), &v)
	return v, err == nil && (v.Digest != "" || v.Error != nil)
}

// fault is the error as it was in the pod.
func (f *failure) fault() *fault.Error {
	kind, _ := fault.KindNamed(f.Kind)
	return &fault.Error{Op: f.Op, Kind: kind, Subject: f.Subject, Err: errors.New(f.Message), Hint: f.Hint}
}
