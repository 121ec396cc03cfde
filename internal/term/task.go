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

// task is a task as people see it. On a terminal it is a line that moves; elsewhere it
// is one line when it starts and one when it ends.
type task struct {
	io      *IO
	label   atomic.Pointer[string]
	total   int64 // bytes, 0 when there is nothing to count: then there are no figures
	current atomic.Int64
	started time.Time
}

func (s *IO) start(label string, total int64) reported.Task {
	if s.events != nil {
		return s.startEvent(label, total)
	}
	t := &task{io: s, total: total, started: time.Now()}
	label = Visible(label)
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

// Add implements progress.Task.
func (t *task) Add(n int64) { t.current.Add(n) }

// Update implements progress.Task. Off a terminal each change is a line of its own.
func (t *task) Update(label string) {
	label = Visible(label)
	if old := t.label.Swap(&label); *old == label || t.io.Live() {
		return
	}
	t.io.Note("%s …", label)
}

// Done implements progress.Task.
func (t *task) Done(text string) {
	t.remove()
	t.io.step(text, " "+t.io.theme.dim.Render("("+reported.Duration(time.Since(t.started))+")"))
}

// Fail implements progress.Task.
func (t *task) Fail() {
	t.remove()
	t.io.tell(t.io.theme.bad.Render(t.io.theme.glyph.fail) + " " + *t.label.Load())
}

// Drop implements progress.Task.
func (t *task) Drop() { t.remove() }

func (t *task) remove() {
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

func (t *task) line(frame string, width int) string {
	text := frame + " " + *t.label.Load()
	if t.total > 0 {
		done := min(t.current.Load(), t.total)
		bar := progress.New(progress.WithWidth(20), progress.WithoutPercentage())
		text += fmt.Sprintf("  %s %s/%s", bar.ViewAs(float64(done)/float64(t.total)), reported.Bytes(done), reported.Bytes(t.total))
	} else {
		text += " " + t.io.theme.dim.Render(reported.Duration(time.Since(t.started)))
	}
	return ansi.Truncate(text, width-1, "…")
}

// region is the block of lines at the bottom of the screen that is redrawn.
// It is guarded by IO.mu.
type region struct {
	tasks []*task
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
