// Package term is the only place that writes to a terminal: streams, colour,
// tables, progress and prompts. stdout carries the answer and nothing else,
// stderr carries the log.
package term

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	xterm "golang.org/x/term"

	reported "github.com/kn-lite/kn-lite/internal/progress"
)

// Verbosity says how much is logged.
type Verbosity int

// From nothing but errors to every request.
const (
	Quiet   Verbosity = -1
	Normal  Verbosity = 0
	Verbose Verbosity = 1
)

// IO holds the three streams and what is known about them.
type IO struct {
	In  io.Reader
	Out io.Writer // the answer: raw, never coloured unless it is a terminal
	Err io.Writer // the log

	Verbosity Verbosity
	NoInput   bool // never ask, whatever the terminal says

	inTTY, outTTY, errTTY bool
	colour                bool
	env                   func(string) string
	width                 func() int
	theme                 theme

	mu   sync.Mutex // guards Err while a live region is on the screen
	live *region    // nil when nothing is being redrawn

	broken error // a panic while it was redrawn

	events   *reported.Lines // nil: stderr is for people
	besideMu sync.Mutex      // guards besides
	besides  []*besideEvents
}

// Broken is the panic that has ended the redrawing of the screen, if there was one.
func (s *IO) Broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// System wires the process's own streams.
func System(env func(string) string, in, out, err *os.File) *IO {
	forced := env("KN_LITE_FORCE_TTY") != ""
	streams := &IO{
		In: in, Out: out, Err: err, env: env,
		inTTY:  xterm.IsTerminal(int(in.Fd())),
		outTTY: forced || xterm.IsTerminal(int(out.Fd())),
		errTTY: forced || xterm.IsTerminal(int(err.Fd())),
	}
	streams.width = func() int {
		if cols, _, e := xterm.GetSize(int(err.Fd())); e == nil && cols > 0 {
			return cols
		}
		return 80
	}
	streams.SetColor("auto")
	return streams
}

// Test gives streams backed by buffers, with no terminal and no colour.
func Test() (streams *IO, out, err *bytes.Buffer) {
	out, err = new(bytes.Buffer), new(bytes.Buffer)
	streams = &IO{
		In: strings.NewReader(""), Out: out, Err: err,
		env:   func(string) string { return "" },
		width: func() int { return 80 },
	}
	streams.SetColor("never")
	return streams, out, err
}

// SetColor applies --color: auto, always or never. With auto the environment
// decides, NO_COLOR first (https://no-color.org: present and not empty), then
// CLICOLOR_FORCE, CLICOLOR and TERM, then whether the stream is a terminal.
func (s *IO) SetColor(when string) {
	profile := colorprofile.NoTTY
	s.colour = s.wantsColor(when)
	if s.colour {
		profile = colorprofile.ANSI
		if strings.Contains(s.env("COLORTERM"), "truecolor") {
			profile = colorprofile.TrueColor
		}
	}
	s.theme = newTheme(profile)
}

func (s *IO) wantsColor(when string) bool {
	switch {
	case when == "always":
		return true
	case when == "never", s.env("NO_COLOR") != "":
		return false
	case s.env("CLICOLOR_FORCE") != "" && s.env("CLICOLOR_FORCE") != "0":
		return true
	case s.env("CLICOLOR") == "0", s.env("TERM") == "dumb":
		return false
	}
	return s.errTTY
}

// OutIsTTY reports whether a person is reading the answer.
func (s *IO) OutIsTTY() bool { return s.outTTY }

// Live reports whether lines on stderr may be redrawn in place: a terminal that
// can move its cursor, and no CI system collecting a log.
func (s *IO) Live() bool {
	return s.events == nil && s.errTTY && s.Verbosity == Normal && s.env("CI") == "" && s.env("TERM") != "dumb"
}

// CanPrompt reports whether a question may be asked at all.
func (s *IO) CanPrompt() bool {
	return s.inTTY && s.errTTY && !s.NoInput && s.env("CI") == ""
}

// Answer writes one line for a person to stdout.
func (s *IO) Answer(format string, args ...any) error {
	_, err := fmt.Fprintln(s.Out, Visible(fmt.Sprintf(format, args...)))
	return err
}

// Lines writes text of several lines for a person to stdout.
func (s *IO) Lines(text string) error {
	_, err := fmt.Fprintln(s.Out, VisibleLines(text))
	return err
}

// Exact writes text for a program to stdout, as it is. On a terminal, where no program
// reads it, it is made visible.
func (s *IO) Exact(text string) error {
	if s.outTTY {
		text = VisibleLines(text)
	}
	_, err := fmt.Fprintln(s.Out, text)
	return err
}

// LogLine writes a line of a program's log to stdout, with what tells lines apart in
// front. Its colours stay on a terminal that wants colour.
func (s *IO) LogLine(prefix, text string) error {
	_, err := fmt.Fprintln(s.Out, Visible(prefix)+styled(text, s.outTTY && s.colour))
	return err
}

// Step reports something that has been done.
func (s *IO) Step(format string, args ...any) {
	s.step(fmt.Sprintf(format, args...), "")
}

func (s *IO) step(text, styledEnd string) {
	if s.event(func(l *reported.Lines) { l.Step(text) }) {
		return
	}
	s.tell(s.theme.ok.Render(s.theme.glyph.done) + " " + Visible(text) + styledEnd)
}

// Note reports something that is being done or worth knowing.
func (s *IO) Note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.event(func(l *reported.Lines) { l.Note(text) }) {
		return
	}
	s.tell(s.theme.dim.Render(s.theme.glyph.note) + " " + Visible(text))
}

// Warn reports something that the user probably did not intend.
func (s *IO) Warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.event(func(l *reported.Lines) { l.Warn(text) }) {
		return
	}
	s.tell(s.theme.warn.Render("warning:") + " " + VisibleLines(text))
}

// Debug is shown with -v only.
func (s *IO) Debug(format string, args ...any) {
	if s.Verbosity < Verbose {
		return
	}
	text := fmt.Sprintf(format, args...)
	if s.event(func(l *reported.Lines) { l.Debug(text) }) {
		return
	}
	s.tell(s.theme.dim.Render(VisibleLines(text)))
}

// Error prints an error and what to do about it. It is never silenced.
func (s *IO) Error(text, hint string) {
	if s.events != nil {
		s.events.Fail(reported.Failure{Message: text, Hint: hint})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eraseLive()
	fmt.Fprintln(s.Err, s.theme.bad.Render("error:")+" "+VisibleLines(text))
	for line := range strings.SplitSeq(VisibleLines(hint), "\n") {
		if line != "" {
			fmt.Fprintln(s.Err, "  "+line)
		}
	}
}

// Raw writes the output of another program to stderr. Its colours stay where colour is
// wanted.
func (s *IO) Raw(text string) {
	text = strings.TrimRight(text, "\r\n")
	if s.event(func(l *reported.Lines) { l.Output(text) }) {
		return
	}
	s.tell(styled(text, s.colour))
}

// tell writes one line of the log, above the live region if there is one.
func (s *IO) tell(line string) {
	if s.Verbosity <= Quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eraseLive()
	fmt.Fprintln(s.Err, line)
	s.drawLive()
}

// theme is every style and glyph in use.
type theme struct {
	ok, warn, bad, dim, bold lipgloss.Style
	glyph                    struct{ done, note, fail string }
}

func newTheme(p colorprofile.Profile) theme {
	var t theme
	t.glyph.done, t.glyph.note, t.glyph.fail = "✓", "•", "✗"
	if p <= colorprofile.Ascii {
		return t
	}
	t.ok = lipgloss.NewStyle().Foreground(lipgloss.Green)
	t.warn = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	t.bad = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	t.dim = lipgloss.NewStyle().Faint(true)
	t.bold = lipgloss.NewStyle().Bold(true)
	return t
}

// Line writes one line to stderr whatever the verbosity: for output that a
// program reads, such as an error in JSON.
func (s *IO) Line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eraseLive()
	fmt.Fprintln(s.Err, text)
}

// Beside is w for the output of another program: what moves at the bottom of the
// screen is taken away for it, and drawn again.
func (s *IO) Beside(w io.Writer) io.Writer {
	if s.events != nil && w == s.Err {
		return s.besideEvents()
	}
	return beside{s, w}
}

type beside struct {
	io *IO
	to io.Writer
}

// Write implements io.Writer.
func (b beside) Write(p []byte) (int, error) {
	b.io.mu.Lock()
	defer b.io.mu.Unlock()
	b.io.eraseLive()
	n, err := b.to.Write(p)
	b.io.drawLive()
	return n, err
}
