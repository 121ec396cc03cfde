package plugin

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// maxLine is how much of a line is read at once; the rest of a longer one is the
// next line.
const maxLine = 64 << 10

// maxTasks is how many tasks may be under way.
const maxTasks = 1000

// events reports what a plugin writes to its standard error: events as kn-lite's own
// -o events writes them, of which only the type and what it needs have to be there.
type events struct {
	report progress.Reporter
	tasks  map[int]*task
	failed *progress.Failure // why the plugin gives up, in its own words
	last   []string          // the last lines that were no events
}

// task is one that the plugin has under way.
type task struct {
	progress.Task
	bytes int64
}

func newEvents(report progress.Reporter) *events {
	return &events{report: report, tasks: map[int]*task{}}
}

// read reports all of r.
func (e *events) read(r io.Reader) {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			e.line(line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (e *events) line(line []byte) {
	var got progress.Event
	if line[0] == '{' && json.Unmarshal(line, &got) == nil && e.receive(got) {
		return
	}
	text := string(bytes.ToValidUTF8(line, []byte("\uFFFD")))
	if e.last = append(e.last, text); len(e.last) > 5 {
		e.last = e.last[1:]
	}
	e.report.Output(text)
}

// receive reports one event, and returns false for one that it does not know.
func (e *events) receive(got progress.Event) bool {
	switch got.Type {
	case "start":
		if e.tasks[got.Task] == nil && len(e.tasks) < maxTasks {
			e.tasks[got.Task] = &task{Task: e.report.Start(got.Label, max(got.Total, 0))}
		}
	case "update", "progress", "done", "fail", "drop":
		if t := e.tasks[got.Task]; t != nil {
			e.change(t, got)
		}
	case "step":
		e.report.Step(got.Text)
	case "note":
		e.report.Note(got.Text)
	case "warning":
		e.report.Warn(got.Text)
	case "debug":
		e.report.Debug(got.Text)
	case "output":
		e.report.Output(got.Text)
	case "error":
		e.failed = got.Error
	default:
		return false
	}
	return true
}

func (e *events) change(t *task, got progress.Event) {
	if got.Bytes > t.bytes {
		t.Add(got.Bytes - t.bytes)
		t.bytes = got.Bytes
	}
	switch got.Type {
	case "update":
		t.Update(got.Label)
		return
	case "progress":
		return
	case "done":
		t.Done(cmp.Or(got.Text, got.Label))
	case "fail":
		t.Fail()
	case "drop":
		t.Drop()
	}
	delete(e.tasks, got.Task)
}

// close ends the tasks that the plugin has not ended.
func (e *events) close(ok bool) {
	for id, task := range e.tasks {
		if ok {
			task.Drop()
		} else {
			task.Fail()
		}
		delete(e.tasks, id)
	}
}

// kindOf returns the kind of a plugin's own error.
func kindOf(e *progress.Failure) (fault.Kind, bool) {
	for kind := fault.Failure; kind <= fault.Transient; kind++ {
		if kind.String() == e.Reason {
			return kind, true
		}
	}
	return fault.Build, false
}
