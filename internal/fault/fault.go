// Package fault is the one error type of kn-lite: what was attempted, on what,
// why it went wrong and what the user can do about it.
//
// The Kind decides the exit code (internal/cli/exit.go). Nothing in the code
// base looks at an error's text to decide anything.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind classifies an error by what the caller can do about it.
type Kind int

// The kinds, in the order of their exit codes.
const (
	Failure    Kind = iota // nothing more specific is known
	Usage                  // the command line or a file given by the user is wrong
	Partial                // something was created, and is not ready
	Auth                   // credentials are missing, wrong or not sufficient
	NotFound               // what was named does not exist
	Conflict               // somebody else changed it, or a precondition does not hold
	Build                  // the user's code or Dockerfile does not build
	Timeout                // the deadline passed first
	RolledBack             // a change was made, failed, and the former state is back
	Transient              // the same call may work in a minute
)

// String names the kind as error output with -o json shows it.
func (k Kind) String() string {
	names := [...]string{"failure", "usage", "partial", "auth", "not-found", "conflict", "build", "timeout", "rolled-back", "transient"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return names[k]
}

// KindNamed returns the kind that String names so, or Failure and false.
func KindNamed(name string) (Kind, bool) {
	for k := Failure; k <= Transient; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return Failure, false
}

// Error says which operation failed on which subject, why, and what to do.
type Error struct {
	Op      string // package and verb, e.g. "registry.push": for -v and for JSON
	Kind    Kind
	Subject string // what it is about: a file:line:col, an image reference, service/hello
	Err     error  // the cause, in lower case, without "failed to"
	// Hint is what the user can do; it may have several lines. It names what a caller
	// can set by the name of the field, in braces: {BaseImage}. Whoever shows the hint
	// has another name for it, such as a flag: internal/cli/hints.go.
	Hint string
}

// Error is "subject: cause".
func (e *Error) Error() string {
	switch {
	case e.Err == nil && e.Subject == "":
		return e.Kind.String()
	case e.Err == nil:
		return e.Subject + ": " + e.Kind.String()
	case e.Subject == "":
		return e.Err.Error()
	}
	return e.Subject + ": " + e.Err.Error()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// New makes an Error whose cause is the formatted text; %w wraps as in fmt.Errorf.
func New(kind Kind, op, subject, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Subject: subject, Err: fmt.Errorf(format, args...)}
}

// WithHint returns a copy of e that tells the user what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	hinted := *e
	hinted.Hint = fmt.Sprintf(format, args...)
	return &hinted
}

// Usagef is a mistake on the command line.
func Usagef(format string, args ...any) *Error {
	return &Error{Op: "usage", Kind: Usage, Err: fmt.Errorf(format, args...)}
}

// KindOf is the kind of the outermost Error in err's chain. A deadline that no
// layer has described is a Timeout; everything else unknown is a Failure.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Timeout
	}
	return Failure
}

// HintOf is the first hint found from the outside in, or "".
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
