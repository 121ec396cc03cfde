package progress_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func TestOnce(t *testing.T) {
	var got progresstest.Recorder
	r := progress.Once(&got)
	for range 2 {
		r.Note("a")
		r.Warn("a")
		r.Warn("b")
		r.Step("s")
	}
	if diff := cmp.Diff([]string{"note a", "warn a", "warn b", "step s", "step s"}, got.Lines()); diff != "" {
		t.Error(diff)
	}
}
