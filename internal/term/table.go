package term

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Table is columns of text for people; scripts use -o json.
type Table struct {
	header []string
	rows   [][]string
}

// NewTable starts a table with its column heads, in upper case as kubectl has them.
func NewTable(header ...string) *Table { return &Table{header: header} }

// Row adds a line; missing cells are empty.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = Visible(cell)
	}
	t.rows = append(t.rows, row)
}

// Write prints the table to stdout, each column as wide as its widest cell.
func (s *IO) Write(t *Table) error {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			if i < len(widths) {
				widths[i] = max(widths[i], ansi.StringWidth(cell))
			}
		}
	}
	w := bufio.NewWriter(s.Out)
	for _, row := range append([][]string{t.header}, t.rows...) {
		var line strings.Builder
		for i := range widths {
			cell := ""
			if i < len(row) {
				cell = row[i]
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-ansi.StringWidth(cell)+3))
		}
		fmt.Fprintln(w, defuse(strings.TrimRight(line.String(), " ")))
	}
	return w.Flush()
}

// Confirm asks a yes/no question whose default is no. Without somebody to ask
// it answers no; callers check CanPrompt first and offer --yes. It ends with ctx.
func (s *IO) Confirm(ctx context.Context, format string, args ...any) (bool, error) {
	if !s.CanPrompt() {
		return false, nil
	}
	s.mu.Lock()
	fmt.Fprint(s.Err, Visible(fmt.Sprintf(format, args...))+" [y/N] ")
	s.mu.Unlock()
	line, err := s.readLine(ctx, bufio.NewReader(s.In))
	if err != nil && line == "" {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
