package python

import (
	"strings"
	"testing"
)

func TestShortenVersions(t *testing.T) {
	line := "ERROR: Could not find a version that satisfies the requirement demo==1.5 (from versions: 1.10, 1.9, 1.8, 1.4, 1.1, 1.6, 1.0, 2.0)\nERROR: No matching distribution found for demo==1.5\n"
	if got := shortenVersions(line); !strings.Contains(got, "(from versions: 1.1, 1.4, 1.6, 1.8, 1.9 and 3 more)") || !strings.Contains(got, "\nERROR: No matching") {
		t.Error(got)
	}
	for name, wanted := range map[string]string{"demo>2 ": "1.6, 1.8, 1.9, 1.10, 2.0 and 3 more", "demo ": "1.6, 1.8, 1.9, 1.10, 2.0 and 3 more", "d3mo<0.5 (from other) ": "1.0, 1.1, 1.4, 1.6, 1.8 and 3 more"} {
		if got := shortenVersions(strings.Replace(line, "demo==1.5 ", name, 1)); !strings.Contains(got, wanted) {
			t.Errorf("%s: %s", name, got)
		}
	}
	few := "satisfies the requirement demo (from versions: none)"
	if got := shortenVersions(few); got != few {
		t.Error(got)
	}
}
