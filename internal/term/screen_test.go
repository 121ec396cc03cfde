package term

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// user is somebody before a screen.
type user struct {
	t     *testing.T
	model screenModel
	ended bool
}

func newUser(t *testing.T, width, height int) *user {
	u := &user{t: t, model: screenModel{theme: newTheme(colorprofile.ANSI)}}
	u.send(tea.WindowSizeMsg{Width: width, Height: height})
	return u
}

func (u *user) send(msg tea.Msg) {
	u.t.Helper()
	next, cmd := u.model.Update(msg)
	model, ok := next.(screenModel)
	if !ok {
		u.t.Fatalf("%T", next)
	}
	u.model = model
	if cmd != nil {
		_, u.ended = cmd().(tea.QuitMsg)
	}
}

func (u *user) press(keys ...string) {
	u.t.Helper()
	codes := map[string]rune{"up": tea.KeyUp, "down": tea.KeyDown, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "home": tea.KeyHome, "end": tea.KeyEnd, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace}
	for _, key := range keys {
		switch code, special := codes[key]; {
		case special:
			u.send(tea.KeyPressMsg{Code: code})
		case key == "ctrl+c":
			u.send(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
		default:
			for _, r := range key {
				u.send(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
		}
	}
}

// lines are those on the screen, which it must fill and not exceed.
func (u *user) lines() []string {
	u.t.Helper()
	text := ansi.Strip(u.model.View().Content)
	lines := strings.Split(text, "\n")
	if len(lines) != u.model.height {
		u.t.Errorf("%d lines on a screen of %d", len(lines), u.model.height)
	}
	for _, line := range lines {
		if ansi.StringWidth(line) > u.model.width {
			u.t.Errorf("%q is wider than %d", line, u.model.width)
		}
	}
	return lines
}

func (u *user) sees(want string) {
	u.t.Helper()
	if text := strings.Join(u.lines(), "\n"); !strings.Contains(text, want) {
		u.t.Errorf("no %q in\n%s", want, text)
	}
}

func rows(n int) Screen {
	s := Screen{Title: "title", Columns: []Column{{Head: "NAME"}, {Head: "N", Right: true}}, Empty: "nothing here"}
	for i := range n {
		name := fmt.Sprintf("row-%02d", i)
		s.Rows = append(s.Rows, ScreenRow{Key: name, Cells: []Cell{{Text: name, Tone: Strong}, {Text: fmt.Sprint(i)}}, Detail: []string{"about " + name}})
	}
	return s
}

func TestScreen(t *testing.T) {
	u := newUser(t, 60, 18)
	u.send(rows(30))
	u.sees("▸ row-00   0")
	u.sees("about row-00")
	u.sees("rows 1 to 10 of 30")
	u.press("down", "j")
	u.sees("▸ row-02   2")
	u.press("pgdown")
	u.sees("▸ row-12  12")
	u.press("end")
	u.sees("▸ row-29")
	u.sees("rows 21 to 30 of 30")
	u.press("pgup", "home", "up")
	u.sees("▸ row-00")
}

// The cursor stays on its row, whatever comes and goes around it.
func TestScreenKeepsTheCursor(t *testing.T) {
	u := newUser(t, 60, 18)
	u.send(rows(30))
	u.press("down", "down", "down")
	s := rows(30)
	s.Rows = append([]ScreenRow{{Key: "new", Cells: []Cell{{Text: "new"}}}}, s.Rows[2:]...)
	u.send(s)
	u.sees("▸ row-03")
	u.sees("about row-03")
	s.Rows = s.Rows[:1]
	u.send(s)
	u.sees("▸ new")
	s.Rows = nil
	u.send(s)
	u.sees("nothing here")
	u.press("down", "up", "end")
}

func TestScreenFilter(t *testing.T) {
	u := newUser(t, 60, 18)
	u.send(rows(30))
	u.press("/", "ROW 1q")
	u.sees("nothing matches ROW 1q")
	if u.ended {
		t.Fatal("q in the filter ends it")
	}
	u.press("backspace", "enter")
	u.sees("filter: ROW 1   esc clears it")
	u.sees("▸ row-01")
	if text := strings.Join(u.lines(), "\n"); strings.Contains(text, "row-02") {
		t.Errorf("%s", text)
	}
	u.press("esc")
	u.sees("row-02")
	u.press("/", "x", "esc")
	u.sees("▸ row-01")
	u.press("q")
	if !u.ended {
		t.Error("q does not end it")
	}
	for _, keys := range [][]string{{"ctrl+c"}, {"/", "ctrl+c"}} {
		u = newUser(t, 60, 18)
		u.press(keys...)
		if !u.ended {
			t.Errorf("%v does not end it", keys)
		}
	}
}

func TestScreenIsHarmless(t *testing.T) {
	for _, size := range [][2]int{{200, 40}, {40, 12}, {10, 3}, {1, 1}} {
		u := newUser(t, size[0], size[1])
		s := Screen{Title: hostile, Problem: hostile, Columns: []Column{{Head: "A"}, {Head: "B"}}, Empty: hostile}
		u.send(s)
		checkControl(t, u)
		s.Rows = []ScreenRow{{Key: hostile, Cells: []Cell{{Text: hostile}, {Text: strings.Repeat("日本", 200)}, {Text: "more than columns"}}, Detail: []string{hostile, hostile, hostile, hostile, hostile}}}
		u.send(s)
		u.press("/", hostile)
		u.send(tea.PasteMsg{Content: hostile})
		checkControl(t, u)
	}
}

func checkControl(t *testing.T, u *user) {
	t.Helper()
	for _, line := range u.lines() {
		if strings.ContainsFunc(line, hidden) {
			t.Errorf("%q", line)
		}
	}
}
