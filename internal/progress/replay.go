package progress

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// maxLine is how much of a line is read at once; the rest of a longer one is the next
// line.
const maxLine = 1 << 20

// Replay reports to r what another process writes with Lines, until in ends. Lines
// that are no events are output. It returns the last error among the events, or nil,
// and what was wrong with in.
func Replay(in io.Reader, r Reporter) (*Failure, error) {
	p := replay{to: r, tasks: map[int]*replayTask{}}
	defer p.close()
	lines := bufio.NewReaderSize(in, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			p.line(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return p.failed, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return p.failed, err
		}
	}
}

type replay struct {
	to     Reporter
	tasks  map[int]*replayTask
	failed *Failure
}

type replayTask struct {
	Task
	bytes int64
}

func (p *replay) line(line []byte) {
	var e Event
	if line[0] != '{' || json.Unmarshal(line, &e) != nil || e.Kind != "Event" {
		p.to.Output(string(bytes.ToValidUTF8(line, []byte("\uFFFD"))))
		return
	}
	switch e.Type {
	case "start":
		p.tasks[e.Task] = &replayTask{Task: p.to.Start(e.Label, e.Total)}
	case "step":
		p.to.Step(e.Text)
	case "note":
		p.to.Note(e.Text)
	case "warning":
		p.to.Warn(e.Text)
	case "debug":
		p.to.Debug(e.Text)
	case "output":
		p.to.Output(e.Text)
	case "error":
		p.failed = e.Error
	default:
		if task := p.tasks[e.Task]; task != nil {
			p.task(task, e)
		}
	}
}

func (p *replay) task(task *replayTask, e Event) {
	if e.Bytes != task.bytes {
		task.Add(e.Bytes - task.bytes)
		task.bytes = e.Bytes
	}
	switch e.Type {
	case "update":
		task.Update(e.Label)
		return
	case "done":
		task.Done(e.Text)
	case "fail":
		task.Fail()
	case "drop":
		task.Drop()
	default:
		return
	}
	delete(p.tasks, e.Task)
}

// close ends the tasks that the other process has not ended.
func (p *replay) close() {
	for _, task := range p.tasks {
		task.Fail()
	}
}
