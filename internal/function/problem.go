package function

import (
	"cmp"
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

// InvalidError is the cause of the error that stands for problems.
type InvalidError struct{ Problems []Problem }

// Error implements error. A single problem's place is the subject of its error.
func (e *InvalidError) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].text()
	}
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Fault is the error that stands for problems, of kind Usage; nil for none.
func Fault(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	e := &fault.Error{Op: "function.load", Kind: fault.Usage, Err: &InvalidError{problems}}
	if len(problems) == 1 {
		e.Subject = problems[0].Where()
	}
	return e
}
