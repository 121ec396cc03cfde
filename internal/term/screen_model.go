package term

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// screenModel is a screen and where the user is in it.
type screenModel struct {
	theme         theme
	screen        Screen
	loaded        bool
	width, height int

	key       string // of the row with the cursor
	top       int    // the first row that is shown
	filter    string
	filtering bool // keys go into the filter
}

// Init implements tea.Model.
func (m screenModel) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m screenModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case Screen:
		m.screen, m.loaded = msg, true
	case tea.PasteMsg:
		if m.filtering {
			m.filter += printable(msg.Content)
		}
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+c" || !m.filtering && msg.String() == "q" {
			return m, tea.Quit
		}
		if m.filtering {
			m.typeFilter(msg)
		} else {
			m.press(msg.String())
		}
	}
	m.settle()
	return m, nil
}

func (m *screenModel) typeFilter(key tea.KeyPressMsg) {
	switch key.String() {
	case "enter", "down":
		m.filtering = false
	case "esc":
		m.filtering, m.filter = false, ""
	case "backspace":
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	case "ctrl+u":
		m.filter = ""
	default:
		m.filter += printable(key.Text)
	}
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && !hidden(r) {
			return r
		}
		return -1
	}, text)
}

func (m *screenModel) press(key string) {
	rows := m.rows()
	at := m.cursor(rows)
	switch key {
	case "/":
		m.filtering = true
	case "esc":
		m.filter = ""
	case "up", "k":
		at--
	case "down", "j":
		at++
	case "pgup", "ctrl+b":
		at -= m.visible()
	case "pgdown", "ctrl+f", "space":
		at += m.visible()
	case "home", "g":
		at = 0
	case "end", "G":
		at = len(rows) - 1
	}
	if at = max(0, min(at, len(rows)-1)); len(rows) > 0 {
		m.key = rows[at].Key
	}
}

// rows are those that the filter leaves: all its words are in one of them.
func (m *screenModel) rows() []ScreenRow {
	words := strings.Fields(strings.ToLower(m.filter))
	if len(words) == 0 {
		return m.screen.Rows
	}
	return slices.DeleteFunc(slices.Clone(m.screen.Rows), func(r ScreenRow) bool {
		text := r.Key
		for _, c := range r.Cells {
			text += " " + c.Text
		}
		text = strings.ToLower(text)
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
}

func (m *screenModel) cursor(rows []ScreenRow) int {
	return max(0, slices.IndexFunc(rows, func(r ScreenRow) bool { return r.Key == m.key }))
}

// settle scrolls so that the cursor is in sight.
func (m *screenModel) settle() {
	rows := m.rows()
	at := m.cursor(rows)
	if len(rows) > 0 {
		m.key = rows[at].Key
	}
	visible := m.visible()
	m.top = max(0, min(max(m.top, at-visible+1), at, len(rows)-1))
	m.top = min(m.top, max(0, len(rows)-visible))
}

// detailHeight is how many lines the row with the cursor may say more in.
func (m *screenModel) detailHeight() int { return max(0, min(4, m.height-5)) }

// visible is how many rows there is place for: beside them stand the title, the heads,
// a rule, the detail and the keys.
func (m *screenModel) visible() int { return max(1, m.height-m.detailHeight()-4) }

// View implements tea.Model.
func (m screenModel) View() tea.View {
	view := tea.NewView(m.text())
	view.AltScreen = true
	return view
}

func (m *screenModel) text() string {
	if m.width == 0 || !m.loaded {
		return ""
	}
	rows := m.rows()
	at := m.cursor(rows)
	shown := rows[m.top:min(len(rows), m.top+m.visible())]
	widths := m.widths(rows)
	lines := []string{m.theme.bold.Render(Visible(m.screen.Title))}
	heads := make([]Cell, len(m.screen.Columns))
	for i, c := range m.screen.Columns {
		heads[i] = Cell{c.Head, Faint}
	}
	lines = append(lines, "  "+m.line(heads, widths))
	for i, r := range shown {
		mark := "  "
		if m.top+i == at {
			mark = "▸ "
		}
		lines = append(lines, m.mark(m.top+i == at, mark+m.line(r.Cells, widths)))
	}
	switch {
	case len(m.screen.Rows) == 0:
		lines = append(lines, m.wrap(m.screen.Empty, "  ")...)
	case len(rows) == 0:
		lines = append(lines, "  nothing matches "+m.filter)
	}
	lines = sized(lines, 2+m.visible())
	lines = append(lines, m.theme.dim.Render(strings.Repeat("─", m.width)))
	var detail []string
	if len(rows) > 0 {
		for _, text := range rows[at].Detail {
			detail = append(detail, m.wrap(text, "")...)
		}
	}
	lines = append(lines, sized(detail, m.detailHeight())...)
	lines = sized(append(lines, m.keys(len(rows))), m.height)
	for i := range lines {
		lines[i] = m.fit(lines[i])
	}
	return strings.Join(lines, "\n")
}

// sized returns exactly n lines.
func sized(lines []string, n int) []string {
	for len(lines) < n {
		lines = append(lines, "")
	}
	return lines[:n]
}

func (m *screenModel) keys(rows int) string {
	switch {
	case m.filtering:
		return "filter: " + m.filter + "█"
	case m.screen.Problem != "":
		return m.theme.bad.Render(Visible(m.screen.Problem))
	}
	text := "↑↓ move   / filter   q quit"
	if m.filter != "" {
		text = "filter: " + m.filter + "   esc clears it   q quit"
	}
	if rows > m.visible() {
		text += "   " + position(m.top, m.visible(), rows)
	}
	return m.theme.dim.Render(text)
}

func position(top, visible, rows int) string {
	return fmt.Sprintf("rows %d to %d of %d", top+1, min(rows, top+visible), rows)
}

func (m *screenModel) mark(on bool, line string) string {
	if !on {
		return line
	}
	return m.theme.bold.Render(line)
}

// widths are those of the columns: as wide as their widest cell of all rows, so that
// nothing moves while one scrolls. What does not fit is cut at the screen's edge.
func (m *screenModel) widths(rows []ScreenRow) []int {
	out := make([]int, len(m.screen.Columns))
	for i, c := range m.screen.Columns {
		out[i] = ansi.StringWidth(c.Head)
	}
	for _, r := range rows {
		for i, c := range r.Cells {
			if i < len(out) {
				out[i] = max(out[i], min(ansi.StringWidth(Visible(c.Text)), m.width/3))
			}
		}
	}
	return out
}

func (m *screenModel) line(cells []Cell, widths []int) string {
	var out strings.Builder
	left := m.width - 2
	for i, width := range widths {
		if left <= 0 {
			break
		}
		var cell Cell
		if i < len(cells) {
			cell = cells[i]
		}
		width = min(width, left)
		text := ansi.Truncate(Visible(cell.Text), width, "…")
		space := strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
		if m.screen.Columns[i].Right {
			text = space + m.tone(cell.Tone).Render(text)
		} else {
			text = m.tone(cell.Tone).Render(text) + space
		}
		out.WriteString(text + strings.Repeat(" ", min(2, left-width)))
		left -= width + 2
	}
	return out.String()
}

func (m *screenModel) tone(t Tone) lipgloss.Style {
	switch t {
	case Good:
		return m.theme.ok
	case Waiting:
		return m.theme.warn
	case Bad:
		return m.theme.bad
	case Faint:
		return m.theme.dim
	case Strong:
		return m.theme.bold
	}
	return lipgloss.NewStyle()
}

func (m *screenModel) fit(text string) string { return ansi.Truncate(text, m.width, "…") }

func (m *screenModel) wrap(text, indent string) []string {
	var out []string
	for line := range strings.SplitSeq(ansi.Wrap(Visible(text), max(10, m.width-len(indent)), ""), "\n") {
		out = append(out, indent+line)
	}
	return out
}
