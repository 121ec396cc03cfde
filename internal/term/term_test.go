package term

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWantsColor(t *testing.T) {
	tests := []struct {
		name string
		when string
		tty  bool
		vars map[string]string
		want bool
	}{
		{"terminal", "auto", true, nil, true},
		{"pipe", "auto", false, nil, false},
		{"always beats everything", "always", false, map[string]string{"NO_COLOR": "1"}, true},
		{"never on a terminal", "never", true, map[string]string{"CLICOLOR_FORCE": "1"}, false},
		{"NO_COLOR", "auto", true, map[string]string{"NO_COLOR": "1"}, false},
		{"empty NO_COLOR counts for nothing", "auto", true, map[string]string{"NO_COLOR": ""}, true},
		{"NO_COLOR beats force", "auto", true, map[string]string{"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, false},
		{"force on a pipe", "auto", false, map[string]string{"CLICOLOR_FORCE": "1"}, true},
		{"force 0 is no force", "auto", false, map[string]string{"CLICOLOR_FORCE": "0"}, false},
		{"CLICOLOR=0", "auto", true, map[string]string{"CLICOLOR": "0"}, false},
		{"dumb terminal", "auto", true, map[string]string{"TERM": "dumb"}, false},
	}
	for _, tt := range tests {
		s, _, _ := Test()
		s.errTTY = tt.tty
		s.env = func(k string) string { return tt.vars[k] }
		if got := s.wantsColor(tt.when); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestStoryGoesToStderr(t *testing.T) {
	s, out, err := Test()
	s.Step("built %s", "hello")
	s.Note("waiting")
	s.Warn("odd")
	s.Debug("hidden without -v")
	if e := s.Answer("registry.example/hello@sha256:%s", "abc"); e != nil {
		t.Fatal(e)
	}
	s.Error("service/hello: not found", "see `kn-lite list`\nor create it")
	if diff := cmp.Diff("registry.example/hello@sha256:abc\n", out.String()); diff != "" {
		t.Errorf("stdout: %s", diff)
	}
	want := `✓ built hello
• waiting
warning: odd
error: service/hello: not found
  see ` + "`kn-lite list`" + `
  or create it
`
	if diff := cmp.Diff(want, err.String()); diff != "" {
		t.Errorf("stderr: %s", diff)
	}
}

func TestQuietKeepsErrors(t *testing.T) {
	s, _, err := Test()
	s.Verbosity = Quiet
	s.Step("built")
	task := s.Progress().Start("pushing", 0)
	task.Done("pushed")
	s.Error("boom", "")
	if got := err.String(); got != "error: boom\n" {
		t.Errorf("stderr = %q", got)
	}
}

func TestTaskOffTerminalIsPlainLines(t *testing.T) {
	s, _, err := Test()
	task := s.Progress().Start("waiting for hello-v1", 0)
	task.Update("waiting for hello-v1: pulling the image")
	task.Update("waiting for hello-v1: pulling the image") // the same reason is told once
	task.Done("hello-v1 is ready")
	lines := strings.Split(strings.TrimSpace(err.String()), "\n")
	if len(lines) != 3 || lines[0] != "• waiting for hello-v1 …" || lines[1] != "• waiting for hello-v1: pulling the image …" ||
		!strings.HasPrefix(lines[2], "✓ hello-v1 is ready (") {
		t.Errorf("got %q", lines)
	}
	if strings.Contains(err.String(), "\x1b") {
		t.Error("escape sequences off a terminal")
	}
}

func TestLiveRegionIsErasedBeforeOtherLines(t *testing.T) {
	s, _, err := Test()
	s.errTTY = true
	task := s.Progress().Start("pushing", 1000)
	task.Add(250)
	s.mu.Lock()
	s.drawLive()
	s.mu.Unlock()
	s.Note("a line of the log")
	task.Done("pushed")
	got := err.String()
	first, rest, found := strings.Cut(got, "\x1b[1A\x1b[2K")
	if !found || !strings.Contains(first, "250 B/1.0 kB") || !strings.Contains(rest, "a line of the log") {
		t.Errorf("got %q", got)
	}
	if s.live != nil {
		t.Error("the region outlived its last task")
	}
}

func TestTable(t *testing.T) {
	s, out, _ := Test()
	table := NewTable("NAME", "TRAFFIC", "READY")
	table.Row("hello", "v1=50 v2=50", "True")
	table.Row("größer", "", "False")
	if err := s.Write(table); err != nil {
		t.Fatal(err)
	}
	want := `NAME     TRAFFIC       READY
hello    v1=50 v2=50   True
größer                 False
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "n\n": false, "yup\n": false, "y": true} {
		s, _, _ := Test()
		s.inTTY, s.errTTY = true, true
		s.In = strings.NewReader(answer)
		if got, err := s.Confirm(t.Context(), "delete?"); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", answer, got, err, want)
		}
	}
	s, _, _ := Test()
	s.In = strings.NewReader("y\n")
	if got, _ := s.Confirm(t.Context(), "delete?"); got {
		t.Error("said yes with nobody to ask")
	}
}

// What goes wrong while the screen is redrawn is an error in the end, and does not
// end the work.
func TestPanicOfARedraw(t *testing.T) {
	s, _, _ := Test()
	s.errTTY = true
	task := s.Progress().Start("pushing", 1000)
	s.width = func() int { panic("boom") }
	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	if s.redraw(live) {
		t.Error("it goes on")
	}
	s.width = func() int { return 80 }
	task.Done("pushed")
	if err := s.Broken(); err == nil || err.Error() != "kn-lite has a mistake: boom" {
		t.Errorf("err = %v", err)
	}
}

func TestBeside(t *testing.T) {
	streams, _, errs := Test()
	if n, err := fmt.Fprint(streams.Beside(streams.Err), "as it is\x1b[1m"); err != nil || n != 12 || errs.String() != "as it is\x1b[1m" {
		t.Errorf("%d %v %q", n, err, errs)
	}
}
