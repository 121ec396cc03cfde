package progress_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// startCounter counts the tasks that are started.
type startCounter struct {
	progress.Reporter
	n int
}

func (s *startCounter) Start(label string, total int64) progress.Task {
	s.n++
	return s.Reporter.Start(label, total)
}

// Of a foreign program the events need no kind, and what it counts is not believed.
func TestPlayForeign(t *testing.T) {
	var want, got progresstest.Recorder
	one := want.Start("one", 0)
	one.Add(5)
	one.Add(2)
	one.Done("one, at last")
	want.Output(`{"type":"new"}`)
	want.Start("left", 0).Drop()
	p := progress.Player{To: &got, Other: got.Output, MaxLine: 1 << 10, Foreign: true}
	err := p.Play(strings.NewReader(`{"type":"start","task":1,"label":"one","total":-3}
{"type":"start","task":1,"label":"again"}
{"type":"progress","task":1,"bytes":5}
{"type":"progress","task":1,"bytes":3}
{"type":"progress","task":1,"bytes":7}
{"type":"done","task":1,"label":"one, at last"}
{"type":"new"}
{"type":"start","task":2,"label":"left"}
{"type":"error","error":{"message":"broken"}}
`))
	p.Close(true)
	if err != nil || p.Failed() == nil || p.Failed().Message != "broken" {
		t.Errorf("%+v, %v", p.Failed(), err)
	}
	if diff := cmp.Diff(want.Lines(), got.Lines()); diff != "" {
		t.Error(diff)
	}
}

// A foreign program has a bounded number of tasks under way, kn-lite itself any.
func TestPlayManyTasks(t *testing.T) {
	var lines strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&lines, "{\"kind\":\"Event\",\"type\":\"start\",\"task\":%d}\n", i+1)
	}
	for foreign, want := range map[bool]int{true: 1000, false: 1500} {
		to := &startCounter{Reporter: progress.Nop()}
		p := progress.Player{To: to, Other: to.Output, MaxLine: 1 << 10, Foreign: foreign}
		if err := p.Play(strings.NewReader(lines.String())); err != nil {
			t.Error(err)
		}
		p.Close(false)
		if to.n != want {
			t.Errorf("foreign %v: %d tasks, want %d", foreign, to.n, want)
		}
	}
}
