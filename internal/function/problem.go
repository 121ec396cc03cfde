package function

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Problem is one thing that is wrong or odd in a func.yaml, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Col     int    `json:"column"` // from 1, in characters
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Typo marks a warning that is almost certainly a mistake: an unknown key
	// that is one slip away from a known one. `func validate` refuses it.
	Typo bool `json:"typo,omitempty"`
}

// Where is "func.yaml:14:9".
func (p Problem) Where() string {
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// String is "func.yaml:14:9: run.envs[2]: unknown key "vaule" (did you mean "value"?)".
func (p Problem) String() string {
	return p.Where() + ": " + p.text()
}

func (p Problem) text() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

// ByPlace orders problems as they stand in the file.
func ByPlace(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
}

// Fault is the error that stands for problems, of kind Usage; nil for none.
func Fault(problems []Problem) error {
	switch len(problems) {
	case 0:
		return nil
	case 1:
		return fault.New(fault.Usage, "function.load", problems[0].Where(), "%s", problems[0].text())
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return &fault.Error{Op: "function.load", Kind: fault.Usage, Err: errors.New(strings.Join(lines, "\n"))}
}
