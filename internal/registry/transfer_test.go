package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func TestTransfersAreReportedAndCounted(t *testing.T) {
	var got progresstest.Recorder
	var count tally
	move := func(kind string, size, moved int64, result outcome) {
		each := &transfer{report: &got, blob: blob{kind: kind, digest: "0123456789ab", size: size}, tally: &count}
		each.add(moved)
		each.end(result)
	}
	move("layer", 9_000_000, 0, skipped)
	if text := count.pushed.String(); text != "1 layer, all there already" {
		t.Errorf("summary %q", text)
	}
	move("layer", 5_000_000, 5_000_000, pushed)
	move("layer", 7_000_000, 0, mounted)
	move("layer", 400, 400, pushed) // too small for a task
	move("config", 600, 600, pushed)
	move("layer", 80_000, 70_000, failed)
	want := []progresstest.Event{
		{Kind: "debug", Text: "layer 0123456789ab skipped"},
		{Kind: "start", Text: "pushing layer 0123456789ab (5.0 MB)"},
		{Kind: "done", Text: "pushed layer 0123456789ab (5.0 MB)", Bytes: 5_000_000},
		{Kind: "debug", Text: "layer 0123456789ab mounted"},
		{Kind: "debug", Text: "layer 0123456789ab pushed"},
		{Kind: "debug", Text: "config 0123456789ab pushed"},
		{Kind: "start", Text: "pushing layer 0123456789ab (80.0 kB)"},
		{Kind: "fail", Text: "pushing layer 0123456789ab (80.0 kB)", Bytes: 70_000},
	}
	if diff := cmp.Diff(want, got.Events()); diff != "" {
		t.Error(diff)
	}
	if text := count.pushed.String(); text != "4 layers, 1 mounted, 2 new (5.1 MB sent)" {
		t.Errorf("summary %q", text)
	}
}
