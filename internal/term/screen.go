package term

import (
	"context"
	"errors"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Tone is what a cell of a screen is coloured by. Colour never says what the text
// does not say as well.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Waiting
	Bad
	Faint
	Strong
)

// Screen is a table that fills the terminal, as it is at one moment.
type Screen struct {
	Title   string
	Problem string // shown instead of the keys, for example that the data is old
	Columns []Column
	Rows    []ScreenRow
	Empty   string // what to do when there are no rows
}

// Column is a column of a screen.
type Column struct {
	Head  string
	Right bool // aligned, for numbers
}

// ScreenRow is a row of a screen. Its key tells it from others, so that the cursor
// stays on it whatever comes and goes around it.
type ScreenRow struct {
	Key    string
	Cells  []Cell
	Detail []string // lines that are shown while the cursor is on the row
}

// Cell is a cell of a row.
type Cell struct {
	Text string
	Tone Tone
}

// Interactive reports whether a screen can be shown: a person sits before a terminal
// that can move its cursor, and can press keys.
func (s *IO) Interactive() bool {
	return s.inTTY && s.outTTY && !s.NoInput && s.env("CI") == "" && s.env("TERM") != "dumb"
}

// Watch shows the screens that feed hands to show, until the user has seen enough or
// feed or ctx ends. The terminal is as before when it returns. Callers check
// Interactive first.
func (s *IO) Watch(ctx context.Context, feed func(ctx context.Context, show func(Screen)) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	profile := colorprofile.NoTTY
	if s.colour {
		profile = colorprofile.ANSI
	}
	program := tea.NewProgram(screenModel{theme: newTheme(profile)}, tea.WithContext(ctx), tea.WithInput(s.In), tea.WithOutput(s.Out),
		tea.WithoutSignalHandler(), tea.WithColorProfile(profile), tea.WithEnvironment(s.teaEnvironment()))
	fed := make(chan error, 1)
	go func() {
		err := feed(ctx, func(screen Screen) { program.Send(screen) })
		program.Quit()
		fed <- err
	}()
	_, err := program.Run()
	outside := ctx.Err()
	cancel()
	if feedErr := <-fed; feedErr != nil && !errors.Is(feedErr, context.Canceled) {
		return feedErr
	}
	if outside != nil {
		return outside
	}
	return err
}

// teaEnvironment is all that bubbletea may know of the environment.
func (s *IO) teaEnvironment() []string {
	var out []string
	for _, name := range []string{"TERM", "TERM_PROGRAM", "COLORTERM", "NO_COLOR", "TMUX", "STY", "WT_SESSION", "SSH_TTY"} {
		if value := s.env(name); value != "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}
