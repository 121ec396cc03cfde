package progress_test

import (
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/progress"
)

// lines records notes, warnings and steps.
type lines struct {
	progress.Reporter
	all []string
}

func (l *lines) Note(text string) { l.all = append(l.all, "note "+text) }
func (l *lines) Warn(text string) { l.all = append(l.all, "warn "+text) }
func (l *lines) Step(text string) { l.all = append(l.all, "step "+text) }

func TestOnce(t *testing.T) {
	got := &lines{Reporter: progress.Nop()}
	r := progress.Once(got)
	for range 2 {
		r.Note("a")
		r.Warn("a")
		r.Warn("b")
		r.Step("s")
	}
	if text := strings.Join(got.all, ", "); text != "note a, warn a, warn b, step s, step s" {
		t.Errorf("got %s", text)
	}
}
