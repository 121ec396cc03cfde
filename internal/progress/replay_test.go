package progress_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// use reports something of each kind.
func use(r progress.Reporter) {
	one, two := r.Start("one", 0), r.Start("two", 10)
	one.Update("one, slowly")
	two.Add(4)
	two.Add(6)
	r.Step("s")
	r.Note("n <&>")
	r.Warn("w")
	r.Debug("d")
	r.Output("line 1\nline 2")
	one.Done("did one")
	two.Fail()
	r.Start("three", 0).Drop()
}

// What one process reports and another one replays is what it has reported.
func TestReplay(t *testing.T) {
	var lines bytes.Buffer
	l := progress.NewLines(&lines, time.Now)
	use(l)
	l.Fail(progress.Failure{Reason: "build", Op: "x", Message: "broken", Hint: "mend it"})
	var want, got progresstest.Recorder
	use(&want)
	failed, err := progress.Replay(iotest.OneByteReader(&lines), &got)
	if err != nil || failed == nil || failed.Message != "broken" || failed.Hint != "mend it" || failed.Reason != "build" {
		t.Errorf("%+v, %v", failed, err)
	}
	if diff := cmp.Diff(want.Lines(), got.Lines()); diff != "" {
		t.Error(diff)
	}
}

// Whatever another process writes, each task ends once.
func TestReplayOfOthers(t *testing.T) {
	broken := errors.New("broken")
	var got progresstest.Recorder
	in := strings.NewReader("panic: oh\n{}\n{\"kind\":\"Event\",\"type\":\"new\"}\n" +
		"{\"kind\":\"Event\",\"type\":\"start\",\"task\":1,\"label\":\"left\"}\n{\"kind\":\"Event\",\"type\":\"done\",\"task\":7}\n\xff\n" + strings.Repeat("x", 3<<20))
	failed, err := progress.Replay(io.MultiReader(in, iotest.ErrReader(broken)), &got)
	if failed != nil || !errors.Is(err, broken) {
		t.Errorf("%v, %v", failed, err)
	}
	text := strings.Join(got.Lines(), "\n")
	for _, want := range []string{"panic: oh", "{}", "left", "\uFFFD", "xxxx"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %.300s", want, text)
		}
	}
}
