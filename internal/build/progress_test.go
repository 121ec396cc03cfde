package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func TestSaidOnce(t *testing.T) {
	var got progresstest.Recorder
	p := Spec{Progress: &got}.withDefaults().Progress
	p.Warn("no lockfile")
	p.Note("no lockfile")
	p.Warn("no lockfile")
	p.Warn("old Node")
	if diff := cmp.Diff([]string{"warn no lockfile", "note no lockfile", "warn old Node"}, got.Lines()); diff != "" {
		t.Error(diff)
	}
}
