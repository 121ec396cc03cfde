package build

import (
	"slices"
	"testing"
)

type heard struct {
	silent
	lines *[]string
}

func (h heard) Note(text string) { *h.lines = append(*h.lines, "note "+text) }
func (h heard) Warn(text string) { *h.lines = append(*h.lines, "warn "+text) }

func TestSaidOnce(t *testing.T) {
	var lines []string
	p := Spec{Progress: heard{lines: &lines}}.withDefaults().Progress
	p.Warn("no lockfile")
	p.Note("no lockfile")
	p.Warn("no lockfile")
	p.Warn("old Node")
	if want := []string{"warn no lockfile", "note no lockfile", "warn old Node"}; !slices.Equal(lines, want) {
		t.Errorf("heard %q, want %q", lines, want)
	}
}
