package term

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress"
)

// eventLines returns the events in out as "type text", and fails on any other line.
func eventLines(t *testing.T, out *bytes.Buffer) (lines []string) {
	t.Helper()
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		var e progress.Event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil || e.APIVersion != "kn-lite.dev/v1" || e.Kind != "Event" {
			t.Fatalf("%q is no event: %v", scanner.Text(), err)
		}
		text := e.Text
		switch {
		case e.Error != nil:
			text = e.Error.Message + "; " + e.Error.Hint
		case e.Type != "done" && e.Task > 0:
			text = e.Label
		}
		lines = append(lines, e.Type+" "+text)
	}
	return lines
}

func sayEverything(s *IO) {
	s.Step("step %d", 1)
	s.Note("note")
	s.Warn("warn")
	s.Debug("debug")
	s.Raw("raw\n")
	task := s.Progress().Start("task one", 10)
	task.Add(10)
	task.Update("task two")
	task.Done("done 2")
	s.Progress().Start("failing", 0).Fail()
	s.Progress().Start("dropped", 0).Drop()
	fmt.Fprint(s.Beside(s.Err), "a line\r\nno end")
	s.Progress().Start("reported", 0).Done("it is")
	s.Error("an error", "a hint")
	s.Fail(progress.Failure{Message: "the end", ExitCode: 1})
}

func TestEvents(t *testing.T) {
	all := []string{
		"step step 1", "note note", "warning warn", "debug debug", "output raw", "start task one", "update task two", "done done 2",
		"start failing", "fail failing", "start dropped", "drop dropped", "output a line", "start reported", "done it is",
		"error an error; a hint", "output no end", "error the end; ",
	}
	var normal []string
	for _, line := range all {
		if !strings.HasPrefix(line, "debug") {
			normal = append(normal, line)
		}
	}
	for verbosity, want := range map[Verbosity][]string{Verbose: all, Normal: normal, Quiet: {"error an error; a hint", "error the end; "}} {
		s, out, stderr := Test()
		s.errTTY, s.inTTY = true, true // also on a terminal nothing moves and nobody is asked
		s.Verbosity = verbosity
		s.UseEvents(time.Now)
		sayEverything(s)
		if diff := cmp.Diff(want, eventLines(t, stderr)); diff != "" {
			t.Errorf("verbosity %d: %s", verbosity, diff)
		}
		if out.Len() > 0 || s.Live() || s.CanPrompt() {
			t.Errorf("stdout %q, live %v, prompts %v", out, s.Live(), s.CanPrompt())
		}
	}
}

// A program's output without line ends is not held back for ever.
func TestEventsOfEndlessLines(t *testing.T) {
	s, _, stderr := Test()
	s.UseEvents(time.Now)
	w := s.Beside(s.Err)
	for range 5 {
		if n, err := w.Write(make([]byte, 20<<10)); n != 20<<10 || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	if stderr.Len() == 0 {
		t.Error("nothing was written")
	}
}
