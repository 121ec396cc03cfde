package term

import (
	"bytes"
	"io"
	"strings"
	"time"

	reported "github.com/kn-lite/kn-lite/internal/progress"
)

// UseEvents makes stderr a stream of events, each a line of JSON, in place of text
// for people (docs/guide/events.md). Nobody is asked anything then.
func (s *IO) UseEvents(now func() time.Time) {
	s.NoInput = true
	s.events = reported.NewLines(eventWriter{s}, now)
}

// Events reports whether stderr is a stream of events.
func (s *IO) Events() bool { return s.events != nil }

// Fail prints the error that ends the command: as an event, or for people.
func (s *IO) Fail(failure reported.Failure) {
	if s.events == nil {
		s.Error(failure.Message, failure.Hint)
		return
	}
	s.Flush()
	s.events.Fail(failure)
}

// event calls write with where events go, if that is what stderr is. Nothing but errors
// is quiet enough for Quiet.
func (s *IO) event(write func(*reported.Lines)) bool {
	if s.events == nil {
		return false
	}
	if s.Verbosity > Quiet {
		write(s.events)
	}
	return true
}

// startEvent is event for a task.
func (s *IO) startEvent(label string, total int64) reported.Task {
	if s.Verbosity <= Quiet {
		return reported.Nop().Start(label, total)
	}
	return s.events.Start(label, total)
}

// eventWriter writes lines of events to stderr.
type eventWriter struct{ io *IO }

// Write implements io.Writer.
func (w eventWriter) Write(line []byte) (int, error) {
	w.io.mu.Lock()
	defer w.io.mu.Unlock()
	n := len(line)
	if w.io.errTTY {
		line = []byte(Visible(strings.TrimSuffix(string(line), "\n")) + "\n")
	}
	_, err := w.io.Err.Write(line)
	return n, err
}

// maxBesideLine is how long a line of another program's output gets before it is an
// event of its own.
const maxBesideLine = 64 << 10

// besideEvents makes an event of each line of another program's output.
type besideEvents struct {
	io   *IO
	rest []byte // of a line that has no end yet
}

// Write implements io.Writer.
func (b *besideEvents) Write(p []byte) (int, error) {
	b.io.besideMu.Lock()
	defer b.io.besideMu.Unlock()
	b.rest = append(b.rest, p...)
	for {
		line, rest, found := bytes.Cut(b.rest, []byte("\n"))
		if !found {
			break
		}
		b.rest = rest
		b.report(line)
	}
	if len(b.rest) > maxBesideLine {
		b.flush()
	}
	return len(p), nil
}

func (b *besideEvents) report(line []byte) {
	text := strings.TrimSuffix(string(line), "\r")
	b.io.event(func(l *reported.Lines) { l.Output(text) })
}

// flush reports what has no end of line.
func (b *besideEvents) flush() {
	if len(b.rest) > 0 {
		b.report(b.rest)
	}
	b.rest = nil
}

func (s *IO) besideEvents() io.Writer {
	s.besideMu.Lock()
	defer s.besideMu.Unlock()
	b := &besideEvents{io: s}
	s.besides = append(s.besides, b)
	return b
}

// Flush reports what other programs have written without an end of line. It is called
// when the command has ended.
func (s *IO) Flush() {
	s.besideMu.Lock()
	defer s.besideMu.Unlock()
	for _, b := range s.besides {
		b.flush()
	}
}
