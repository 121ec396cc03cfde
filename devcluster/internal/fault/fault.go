// Package fault is devcluster's one error type: what failed, on what, why, and
// what a person can do about it.
package fault

import (
	"errors"
	"strings"
)

// Error is a failure told to a person. Op and Subject say what was tried and on
// what; Hint says what to do next. The text is lower case and ends without a stop.
type Error struct {
	Op      string
	Subject string
	Err     error
	Hint    string
	// Usage marks a mistake in how devcluster was called: exit code 2.
	Usage bool
}

// Error joins operation, subject and cause with colons and puts the hint on a
// line of its own.
func (e *Error) Error() string {
	var parts []string
	for _, p := range []string{e.Op, e.Subject} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	text := strings.Join(parts, ": ")
	if e.Hint != "" {
		text += "\n  " + strings.ReplaceAll(e.Hint, "\n", "\n  ")
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is 0 for nil, 2 for a usage fault and 1 for everything else.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	var f *Error
	if errors.As(err, &f) && f.Usage {
		return 2
	}
	return 1
}
