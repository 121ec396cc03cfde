package script

import (
	"encoding/json"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/internal/progress"
)

// events checks that the last command's stderr is events and nothing else, and that
// those of the named types are there in this order:
//
//	exec kn-lite push DIR -o events
//	events start done
//
// A program reads stderr that way, so unknown fields fail the script: docs/guide/events.md
// has to have them.
func events(ts *testscript.TestScript, neg bool, want []string) {
	if neg {
		ts.Fatalf("unsupported: ! events")
	}
	left := want
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		var e progress.Event
		if err := decoder.Decode(&e); err != nil || e.APIVersion != progress.APIVersion || e.Kind != "Event" || e.Type == "" || e.Time.IsZero() {
			ts.Fatalf("%q is no event: %v", line, err)
		}
		if len(left) > 0 && e.Type == left[0] {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		ts.Fatalf("there is no event %s (of %s in this order)", left[0], strings.Join(want, ", "))
	}
}
