package clusterbuild

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// heard is what the client reports of what the pod reports.
func heard(t *testing.T, say func(*Log)) (*podLog, []string) {
	t.Helper()
	var out bytes.Buffer
	say(NewLog(&out))
	report := &progresstest.Recorder{}
	log := newPodLog(report)
	for line := range strings.Lines(out.String()) {
		if err := log.line(strings.TrimSuffix(line, "\n")); err != nil {
			t.Fatal(err)
		}
	}
	log.close()
	return log, report.Lines()
}

func TestLogIsHeardAsItWasSaid(t *testing.T) {
	platforms := []Platform{{Platform: "linux/arm64", Base: "alpine", Layers: []Layer{{Name: "RUN x", Digest: digest, Size: 5, Cached: true}}}}
	log, lines := heard(t, func(l *Log) {
		l.Ready()
		l.Step("a step")
		l.Note("a note")
		l.Warn("a \"warning\"\nof two lines")
		l.Output(`{"kind":"Step","text":"a program prints what looks like an event"}`)
		l.Debug("nobody hears this")
		l.Taken()
		l.Result(platforms)
	})
	want := []string{"step a step", "note a note", "warn a \"warning\"\nof two lines", `output {"kind":"Step","text":"a program prints what looks like an event"}`}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(platforms, log.result); diff != "" || !log.listens() || !log.hasAll() || len(log.last) > 0 {
		t.Errorf("listens %t, has all %t, last words %q %s", log.listens(), log.hasAll(), log.last, diff)
	}
}

func TestTasksInTheLog(t *testing.T) {
	_, lines := heard(t, func(l *Log) {
		a, b := l.Start("a", 0), l.Start("b", 5<<20)
		small := l.Start("a few bytes", 100) // is over before anybody could read of it
		small.Done("small")
		b.Add(7)
		b.Fail()
		a.Update("still a")
		a.Done("a is done")
		l.Start("c", 0).Drop()
		l.Start("cut off", 0)
	})
	for _, want := range []string{"start a", "start b", "done a is done", "start cut off"} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is not in %q", want, lines)
		}
	}
	if strings.Contains(strings.Join(lines, " "), "small") || strings.Contains(strings.Join(lines, " "), "few bytes") {
		t.Errorf("a small transfer is in %q", lines)
	}
	fails := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "fail") {
			fails++
		}
	}
	if fails != 2 { // b, and what has no end
		t.Errorf("%d tasks have failed: %q", fails, lines)
	}
}

// The log may have lines of anybody, and events of tasks that it never began.
func TestLogWithForeignLines(t *testing.T) {
	report := &progresstest.Recorder{}
	log := newPodLog(report)
	for _, line := range []string{
		"panic: no", "", "{", "null", "[1]", `{"kind":"Unknown"}`, `{"kind":7}`,
		`{"kind":"Update","id":9,"text":"x"}`, `{"kind":"End","id":9,"ok":true,"text":"x"}`, `{"kind":"Error","text":"is in the termination message"}`,
		`{"kind":"Ready"}`, `{"kind":"Ready"}`, `{"kind":"Taken"}`, `{"kind":"Taken"}`,
	} {
		if err := log.line(line); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	log.close()
	if diff := cmp.Diff([]string{"{", "null", "[1]", `{"kind":"Unknown"}`, `{"kind":7}`}, log.last); diff != "" || !log.listens() {
		t.Error(diff)
	}
	if lines := report.Lines(); len(lines) != 7 || lines[0] != "output panic: no" {
		t.Errorf("reported %q", lines)
	}
}

func TestVerdicts(t *testing.T) {
	deep := fmt.Errorf("around: %w", fault.New(fault.Build, "dockerfile.run", "Dockerfile:3", "exit code 2").WithHint("look"))
	for name, tt := range map[string]struct {
		err     error
		kind    fault.Kind
		message string
		hint    string
	}{
		"a fault":         {fault.New(fault.Auth, "registry.push", "r.example", "denied").WithHint("log in"), fault.Auth, "r.example: denied", "log in"},
		"one with causes": {&fault.Error{Op: "a", Kind: fault.Transient, Subject: "s", Err: fault.New(fault.NotFound, "b", "t", "gone")}, fault.Transient, "s: t: gone", ""},
		"one inside":      {deep, fault.Build, "around: Dockerfile:3: exit code 2", "look"},
		"any error":       {errors.New("disk full"), fault.Failure, "disk full", ""},
	} {
		raw := Verdict("", tt.err)
		v, ok := readVerdict(string(raw))
		if !ok || v.Error == nil || v.Digest != "" {
			t.Errorf("%s: %s", name, raw)
			continue
		}
		if got := v.Error.fault(); got.Kind != tt.kind || got.Error() != tt.message || got.Hint != tt.hint || v.Error.Sandbox {
			t.Errorf("%s: %v (%v), hint %q", name, got, got.Kind, got.Hint)
		}
	}
	if v, ok := readVerdict(string(Verdict(digest, nil))); !ok || v.Digest != digest || v.Error != nil {
		t.Errorf("a success: %+v, %t", v, ok)
	}
	for _, message := range []string{"", "{}", "null", "killed", `{"digest":""}`, `{"digest":1}`} {
		if v, ok := readVerdict(message); ok {
			t.Errorf("%q is a verdict: %+v", message, v)
		}
	}
	// An unknown kind is of another release, and a failure here.
	if got := (&failure{Kind: "novel", Message: "m"}).fault(); got.Kind != fault.Failure {
		t.Errorf("a kind of another release is %v", got.Kind)
	}
}

// A kubelet cuts at 4096 bytes, and half an object is none.
func TestVerdictsFit(t *testing.T) {
	long := strings.Repeat("é\"\n", 4000)
	for name, err := range map[string]error{
		"message": errors.New(long),
		"subject": fault.New(fault.Build, "op", long, "short"),
		"hint":    fault.New(fault.Build, "op", "s", "short").WithHint("%s", long),
		"all":     fault.New(fault.Build, "op", long, "%s", long).WithHint("%s", long),
	} {
		raw := Verdict("", err)
		v, ok := readVerdict(string(raw))
		if len(raw) > 4096 || !json.Valid(raw) || !ok || v.Error.Message == "" || v.Error.Kind != fault.KindOf(err).String() {
			t.Errorf("%s: %d bytes: %.60s", name, len(raw), raw)
		}
	}
}

// Only the sandbox's own refusal means the node: not an error that merely mentions it.
func TestVerdictOfASandbox(t *testing.T) {
	refused := fault.New(fault.Conflict, "sandbox.start", "", "no user namespaces")
	for err, want := range map[error]bool{
		error(refused): true,
		&fault.Error{Op: "dockerfile.build", Kind: fault.Conflict, Subject: "Dockerfile:2", Err: fmt.Errorf("step: %w", refused)}: true,
		fault.New(fault.Build, "dockerfile.run", "", "sandbox.start: exit code 1"):                                                false,
		errors.New("sandbox.start"): false,
	} {
		v, _ := readVerdict(string(Verdict("", err)))
		if v.Error == nil || v.Error.Sandbox != want {
			t.Errorf("%v: %+v", err, v.Error)
		}
	}
}
