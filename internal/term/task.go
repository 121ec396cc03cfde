package term

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"charm.land/bubbles/v2/progress"
	"github.com/charmbracelet/x/ansi"

	"github.com/kn-lite/kn-lite/internal/fault"
	reported "github.com/kn-lite/kn-lite/internal/progress"
)

// redrawEvery is fast enough to look alive and slow enough to cost nothing.
const redrawEvery = 100 * time.Millisecond

// Task is something that takes a while. On a terminal it is a line that moves;
// elsewhere it is one line when it starts and one when it ends.
type Task struct {
	io      *IO
	label   atomic.Pointer[string]
	total   int64 // bytes, 0 when there is nothing to count
	current atomic.Int64
	started time.Time
	event   reported.Task // nil: it is shown to people
}

// Start begins a task. total is in bytes; 0 shows a spinner and no figures.
// Exactly one of Done and Fail must follow.
func (s *IO) Start(total int64, format string, args ...any) *Task {
	t := &Task{io: s, total: total, started: time.Now()}
	text := fmt.Sprintf(format, args...)
	if s.events != nil {
		t.event = s.startEvent(text, total)
		return t
	}
	label := Visible(text)
	t.label.Store(&label)
	if !s.Live() {
		s.Note("%s …", label)
		return t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = newRegion(s)
	}
	s.live.tasks = append(s.live.tasks, t)
	return t
}

// Add counts n more bytes.
func (t *Task) Add(n int64) {
	t.current.Add(n)
	if t.event != nil {
		t.event.Add(n)
	}
}

// Update changes what the line says, e.g. the reason for still waiting. Off a
// terminal each change is a line of its own.
func (t *Task) Update(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if t.event != nil {
		t.event.Update(text)
		return
	}
	label := Visible(text)
	if old := t.label.Swap(&label); *old == label || t.io.Live() {
		return
	}
	t.io.Note("%s …", label)
}

// Done ends the task with what has been achieved.
func (t *Task) Done(format string, args ...any) {
	if t.event != nil {
		t.event.Done(fmt.Sprintf(format, args...))
		return
	}
	t.remove()
	t.io.step(format, args, " "+t.io.theme.dim.Render("("+Duration(time.Since(t.started))+")"))
}

// Fail ends the task without success; the error itself is reported by the caller.
func (t *Task) Fail() {
	if t.event != nil {
		t.event.Fail()
		return
	}
	t.remove()
	t.io.tell(t.io.theme.bad.Render(t.io.theme.glyph.fail) + " " + *t.label.Load())
}

// Drop ends the task without a word.
func (t *Task) Drop() {
	if t.event != nil {
		t.event.Drop()
		return
	}
	t.remove()
}

func (t *Task) remove() {
	s := t.io
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return
	}
	s.eraseLive()
	kept := s.live.tasks[:0]
	for _, other := range s.live.tasks {
		if other != t {
			kept = append(kept, other)
		}
	}
	s.live.tasks = kept
	if len(kept) == 0 {
		close(s.live.stop)
		s.live = nil
		return
	}
	s.drawLive()
}

func (t *Task) line(frame string, width int) string {
	text := frame + " " + *t.label.Load()
	if t.total > 0 {
		done := min(t.current.Load(), t.total)
		bar := progress.New(progress.WithWidth(20), progress.WithoutPercentage())
		text += fmt.Sprintf("  %s %s/%s", bar.ViewAs(float64(done)/float64(t.total)), Bytes(done), Bytes(t.total))
	} else {
		text += " " + t.io.theme.dim.Render(Duration(time.Since(t.started)))
	}
	return ansi.Truncate(text, width-1, "…")
}

// region is the block of lines at the bottom of the screen that is redrawn.
// It is guarded by IO.mu.
type region struct {
	tasks []*Task
	drawn int // lines on the screen now
	frame int
	stop  chan struct{}
}

func newRegion(s *IO) *region {
	r := &region{stop: make(chan struct{})}
	go func() {
		tick := time.NewTicker(redrawEvery)
		defer tick.Stop()
		for {
			select {
			case <-r.stop:
				return
			case <-tick.C:
				if !s.redraw(r) {
					return
				}
			}
		}
	}()
	return r
}

// redraw reports whether to go on. A panic does not end the work whose progress it
// should have shown, and is the command's error when that is done.
func (s *IO) redraw(r *region) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { ok = s.broken == nil }()
	defer fault.Catch(&s.broken)
	if s.live == r {
		r.frame++
		s.eraseLive()
		s.drawLive()
	}
	return true
}

// eraseLive and drawLive are called with IO.mu held.
func (s *IO) eraseLive() {
	if s.live == nil || s.live.drawn == 0 {
		return
	}
	fmt.Fprint(s.Err, strings.Repeat("\x1b[1A\x1b[2K", s.live.drawn)+"\r")
	s.live.drawn = 0
}

func (s *IO) drawLive() {
	if s.live == nil {
		return
	}
	frames := []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}
	frame := frames[s.live.frame%len(frames)]
	for _, t := range s.live.tasks {
		fmt.Fprintln(s.Err, t.line(s.theme.ok.Render(frame), s.width()))
	}
	s.live.drawn = len(s.live.tasks)
}

// Bytes returns a size for people: 512 B, 1.5 kB, 12.3 MB.
func Bytes(n int64) string { return reported.Bytes(n) }

// Duration is an elapsed time for people: 80ms, 1.2s, 2m05s.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
