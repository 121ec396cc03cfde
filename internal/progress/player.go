package progress

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
)

// maxForeignTasks is how many tasks a foreign program may have under way.
const maxForeignTasks = 1000

// Player reports the events that another process writes, each a line of JSON.
type Player struct {
	To      Reporter
	Other   func(line string) // takes the lines that are no events
	MaxLine int               // how much of a line is read at once; the rest of a longer one is the next line

	// Foreign is for programs that are not kn-lite. Of their events only the type and
	// what it needs have to be there, and an unknown type makes a line no event. Their
	// numbers are not believed: a task starts once, its bytes only grow.
	Foreign bool

	tasks  map[int]*playedTask
	failed *Failure
}

// playedTask is one that the other process has under way.
type playedTask struct {
	Task
	bytes int64
}

// Play reports what in holds until it ends, and returns what was wrong with in.
// Close has to follow.
func (p *Player) Play(in io.Reader) error {
	p.tasks = map[int]*playedTask{}
	lines := bufio.NewReaderSize(in, p.MaxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			p.line(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// Failed returns the last error among the events, or nil.
func (p *Player) Failed() *Failure { return p.failed }

// Close ends the tasks that the other process has not ended: with Drop if all went
// well there, else with Fail.
func (p *Player) Close(ok bool) {
	for id, task := range p.tasks {
		if ok {
			task.Drop()
		} else {
			task.Fail()
		}
		delete(p.tasks, id)
	}
}

func (p *Player) line(line []byte) {
	var e Event
	if line[0] == '{' && json.Unmarshal(line, &e) == nil && (p.Foreign || e.Kind == "Event") && p.event(e) {
		return
	}
	p.Other(string(bytes.ToValidUTF8(line, []byte("\uFFFD"))))
}

// event reports e, and returns false if it is none.
func (p *Player) event(e Event) bool {
	switch e.Type {
	case "start":
		p.start(e)
	case "update", "progress", "done", "fail", "drop":
		p.change(e)
	case "step":
		p.To.Step(e.Text)
	case "note":
		p.To.Note(e.Text)
	case "warning":
		p.To.Warn(e.Text)
	case "debug":
		p.To.Debug(e.Text)
	case "output":
		p.To.Output(e.Text)
	case "error":
		p.failed = e.Error
	default:
		if p.Foreign {
			return false
		}
		p.change(e) // types only ever get more, and the bytes of all of them count
	}
	return true
}

func (p *Player) start(e Event) {
	if p.Foreign {
		if p.tasks[e.Task] != nil || len(p.tasks) >= maxForeignTasks {
			return
		}
		e.Total = max(e.Total, 0)
	}
	p.tasks[e.Task] = &playedTask{Task: p.To.Start(e.Label, e.Total)}
}

// change reports an event of a task that has been started.
func (p *Player) change(e Event) {
	task := p.tasks[e.Task]
	if task == nil {
		return
	}
	if e.Bytes > task.bytes || e.Bytes < task.bytes && !p.Foreign {
		task.Add(e.Bytes - task.bytes)
		task.bytes = e.Bytes
	}
	switch e.Type {
	case "update":
		task.Update(e.Label)
		return
	case "done":
		if p.Foreign {
			e.Text = cmp.Or(e.Text, e.Label)
		}
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
