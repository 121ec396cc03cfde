package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/term"
)

// exitStatus is shown in the help of every command (docs: exit codes).
const exitStatus = `  0    ok
  1    failure
  2    usage error, or an invalid file
  3    partial: created, and not ready
  4    authentication or permission
  5    not found
  6    conflict, or a precondition does not hold
  7    the build failed
  8    timed out
  9    rolled back: the former state serves again
  10   there are changes (plan --detailed-exitcode)
  75   transient, try again
  130  interrupted (143: terminated)
Any other code is a failure too.`

// changesFound is the exit code that scripts ask for with --detailed-exitcode. It is
// none that an error has: a mistyped flag must not be taken for a change.
const changesFound = 10

// exitCode is the one place where a kind becomes a number.
func exitCode(kind fault.Kind) int {
	switch kind {
	case fault.Usage:
		return 2
	case fault.Partial:
		return 3
	case fault.Auth:
		return 4
	case fault.NotFound:
		return 5
	case fault.Conflict:
		return 6
	case fault.Build:
		return 7
	case fault.Timeout:
		return 8
	case fault.RolledBack:
		return 9
	case fault.Transient:
		return 75
	}
	return 1
}

// report prints err, if there is one, and returns the exit code.
func (f *Factory) report(ctx context.Context, err error) int {
	if err == nil {
		return f.status
	}
	if outputGone(err) {
		return 0
	}
	err = withFlags(err)
	code := exitCode(fault.KindOf(err))
	if sig := signalCode(ctx); sig != 0 {
		code = sig
	}
	switch errorFormat(f) {
	case "json":
		reportJSON(f.IO, err, code)
		return code
	case eventsOutput:
		reportEvent(f, err, code)
		return code
	}
	text := err.Error()
	if errors.Is(err, context.Canceled) && signalCode(ctx) != 0 && hintOf(err) == "" {
		text = "interrupted"
	}
	f.IO.Error(text, f.typed(hintOf(err)))
	return code
}

// errorReport is an error for pipelines that asked for JSON.
type errorReport struct {
	header
	progress.Failure
}

// outputGone reports whether who reads our output has gone (`kn-lite list | head -1`),
// which is not an error to talk about. A broken connection to a server is one.
func outputGone(err error) bool {
	e, ok := errors.AsType[*fs.PathError](err)
	return ok && (e.Path == "/dev/stdout" || e.Path == "/dev/stderr") && (errors.Is(e, syscall.EPIPE) || errors.Is(e, fs.ErrClosed))
}

// reportJSON writes the error as one line of JSON on stderr, for pipelines
// that asked for JSON.
func reportJSON(streams *term.IO, err error, code int) {
	// Marshalling strings and an int cannot fail.
	line, _ := json.Marshal(errorReportOf(err, code))
	streams.Line(string(line))
}

func errorReportOf(err error, code int) errorReport {
	failure := progress.Failure{Reason: fault.KindOf(err).String(), Message: err.Error(), Hint: hintOf(err), ExitCode: code}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		failure.Op, failure.Subject = e.Op, e.Subject
	}
	return errorReport{head("Error"), failure}
}

// reportEvent writes the error as the last event.
func reportEvent(f *Factory, err error, code int) {
	if !f.IO.Events() { // the command line could not be read
		f.IO.UseEvents(f.Sys.Now)
	}
	f.IO.Fail(errorReportOf(err, code).Failure)
}

// errorFormat returns how a program wants to read the error: json or events; "" is
// for people. A command line that could not be read to its end is looked through.
func errorFormat(f *Factory) string {
	format := givenFlag(f, f.Flags.Output, "-o", "--output")
	if format == "json" || format == eventsOutput {
		return format
	}
	return ""
}

// givenFlag returns the value of a flag: the one that was read, else the first that
// stands in the command line under one of its names.
func givenFlag(f *Factory, read string, names ...string) string {
	for i, arg := range f.Sys.Args {
		if read != "" || arg == "--" {
			break
		}
		for _, name := range names {
			if arg == name && i+1 < len(f.Sys.Args) {
				read = f.Sys.Args[i+1]
			} else if value, ok := strings.CutPrefix(arg, name+"="); ok {
				read = value
			}
		}
	}
	return read
}
