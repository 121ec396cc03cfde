package kaniko

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// buildLog reads what kaniko writes: its own lines, which are JSON, and among them
// what the programs of RUN write.
type buildLog struct {
	report progress.Reporter
	// unpacked is closed when the log shows that kaniko has read its context.
	unpacked chan struct{}

	mu            sync.Mutex
	step          string // the instruction under way
	task          progress.Task
	begun         bool
	reading, read bool   // the context
	usage         bool   // the help that follows an error about a flag has begun
	failed        string // the last error that kaniko reported
}

func newBuildLog(report progress.Reporter) *buildLog {
	return &buildLog{report: report, unpacked: make(chan struct{})}
}

// waitsForInput is what kaniko writes right before it reads its context.
const waitsForInput = "To simulate EOF"

// line receives one line.
func (l *buildLog) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading && !l.read {
		l.read = true
		close(l.unpacked)
	}
	l.reading = l.reading || strings.Contains(text, waitsForInput)
	l.begun = true
	var entry struct{ Level, Msg string }
	if !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &entry) != nil || entry.Level == "" {
		l.plain(text)
		return
	}
	switch entry.Level {
	case "error", "fatal", "panic":
		l.failed = entry.Msg
		l.report.Output(entry.Msg)
	case "warning":
		// It has been told to go on, in what may not look like a container.
		if !strings.HasPrefix(entry.Msg, "Kaniko is being run outside of a container") {
			l.report.Warn("kaniko: " + entry.Msg)
		}
	default:
		switch step := stepOf(entry.Msg); {
		case step != "":
			l.begin(step)
		case otherInstruction.MatchString(entry.Msg):
			l.end(true)
			fallthrough
		default:
			l.report.Debug("kaniko: " + entry.Msg)
		}
	}
}

// plain receives what is not JSON: output of RUN, and the errors that kaniko ends with.
func (l *buildLog) plain(text string) {
	switch {
	case l.usage:
		return
	case lastError.MatchString(text), l.step == "" && strings.HasPrefix(text, "Error: "):
		// The second is cobra's, before anything is run.
		l.failed = strings.TrimPrefix(text, "Error: ")
		return
	case l.failed != "" && text == "Usage:":
		l.usage = true
		return
	}
	l.report.Output(text)
}

// Instructions that do something, and those that only note something.
var (
	instruction      = regexp.MustCompile(`^(?:RUN|COPY|ADD|WORKDIR) `)
	otherInstruction = regexp.MustCompile(`^(?:ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|ONBUILD|SHELL|STOPSIGNAL|USER|VOLUME) |^Building stage `)
)

// stepOf returns the step that begins with a line of kaniko's, "" for none.
func stepOf(msg string) string {
	if strings.HasPrefix(msg, "Pushing image to ") {
		return "push " + strings.TrimPrefix(msg, "Pushing image to ")
	}
	if instruction.MatchString(msg) {
		return msg
	}
	return ""
}

// lastError is the line that kaniko ends with.
var lastError = regexp.MustCompile(`^error (?:building image|pushing image|checking push permissions|resolving relative paths|changing to root dir)`)

func (l *buildLog) begin(step string) {
	l.end(true)
	l.step = step
	label, _, _ := strings.Cut(step, "\n")
	l.task = l.report.Start(label, 0)
}

func (l *buildLog) end(ok bool) {
	if l.task == nil {
		return
	}
	if ok {
		label, _, _ := strings.Cut(l.step, "\n")
		l.task.Done(label)
	} else {
		l.task.Fail()
	}
	l.task, l.step = nil, ""
}

// close ends the instruction under way, which has failed unless ok.
func (l *buildLog) close(ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(ok)
}

func (l *buildLog) hasBegun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begun
}

// reasons are what kaniko's errors mean. It has one exit code for all that is not
// RUN's, so its words are all there is.
func reasons() []reason {
	return []reason{
		{`error checking push permissions`, fault.Auth, "the credentials have to allow a push to the repository; inside of the cluster, its pods have to reach the registry"},
		{`unknown flag|unknown shorthand`, fault.Conflict, "name an executor of kaniko 1.24 or later"},
		{`error resolving source context.*EOF`, fault.Transient, "the connection broke off while the context was sent: try again"},
		{`UNAUTHORIZED|DENIED|401 Unauthorized|403 Forbidden`, fault.Auth, "the registry wants other credentials for what is pulled or pushed"},
		{`MANIFEST_UNKNOWN|NAME_UNKNOWN|manifest unknown|not found on any configured mapped registries`, fault.NotFound, "an image that the Dockerfile names is not in its registry"},
		{`connection refused|no such host|i/o timeout|connection reset|TLS handshake timeout`, fault.Transient, "kaniko has to reach the registries that it pulls from and pushes to"},
		{`error pushing image`, fault.Transient, "try again"},
		{`error building`, fault.Build, ""},
	}
}

type reason struct {
	pattern string
	kind    fault.Kind
	hint    string
}

// outer is what kaniko puts before the cause of an error.
var outer = regexp.MustCompile(`^(?:error building image: |error building stage: |failed to execute command: |error pushing image: |error resolving source context: )+`)

var exitStatus = regexp.MustCompile(`(?:waiting for process to exit: )?exit status (\d+)$`)

// fault returns why kaniko ended with code. where is what ran it, image what it is.
func (l *buildLog) fault(where, image string, code int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	const op = "kaniko.build"
	if l.failed == "" {
		if code == 137 {
			return fault.New(fault.Build, op, where, "kaniko was killed, mostly for want of memory").WithHint("give it more memory: it holds each layer in memory")
		}
		if !l.begun {
			return fault.New(fault.Failure, op, where, "the builder ended with exit code %d and wrote nothing: is %s an image of kaniko's executor?", code, image)
		}
		return fault.New(fault.Build, op, where, "kaniko ended with exit code %d", code)
	}
	cause := outer.ReplaceAllString(l.failed, "")
	if m := exitStatus.FindStringSubmatch(cause); m != nil && l.step != "" {
		// The step says what has exited.
		err := fault.New(fault.Build, op, firstLine(l.step), "exit code %s", m[1])
		if m[1] == "137" {
			return err.WithHint("137 is a kill, mostly for want of memory")
		}
		return err
	}
	for _, r := range reasons() {
		if regexp.MustCompile(r.pattern).MatchString(l.failed) {
			err := &fault.Error{Op: op, Kind: r.kind, Subject: where, Err: fmt.Errorf("kaniko: %s", cause), Hint: r.hint}
			if r.kind == fault.Build && l.step != "" {
				err.Subject = firstLine(l.step)
			}
			return err
		}
	}
	return fault.New(fault.Build, op, where, "kaniko: %s", cause)
}

func firstLine(text string) string {
	first, _, more := strings.Cut(text, "\n")
	if more {
		first += " …"
	}
	return first
}
