package cli

import (
	"slices"
	"testing"
)

func TestCompletionsAreVisible(t *testing.T) {
	got := visibleCompletions([]string{"v1=\tnow 10 %, failed: a\x1b[2J\nrm -rf\t~", "plain", "b\n--yes\tx"})
	want := []string{"v1=\tnow 10 %, failed: a" + `\x1b[2J\nrm -rf\t~`, "plain", `b\n--yes` + "\tx"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
