package registry

import (
	"strconv"
	"sync"

	"github.com/kn-lite/kn-lite/internal/progress"
)

// Pushed is what a push has led to.
type Pushed struct {
	Ref     string // by digest
	Layers  int    // of the image: all of them, of which
	New     int    // these were sent
	Mounted int    // and these were taken over from another repository of the registry
	Sent    int64  // bytes, of everything
}

// String returns for example "3 layers, 1 mounted, 1 new (4.1 MB sent)".
func (p Pushed) String() string {
	text := strconv.Itoa(p.Layers) + " layers"
	if p.Layers == 1 {
		text = "1 layer"
	}
	if p.New == 0 && p.Mounted == 0 {
		return text + ", all there already"
	}
	if p.Mounted > 0 {
		text += ", " + strconv.Itoa(p.Mounted) + " mounted"
	}
	return text + ", " + strconv.Itoa(p.New) + " new (" + progress.Bytes(p.Sent) + " sent)"
}

// tally counts what a push does.
type tally struct {
	mu     sync.Mutex
	pushed Pushed
}

func (t *tally) count(b blob, outcome outcome, moved int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pushed.Sent += moved
	if b.kind != "layer" || outcome == failed {
		return
	}
	t.pushed.Layers++
	switch outcome {
	case pushed:
		t.pushed.New++
	case mounted:
		t.pushed.Mounted++
	}
}

// blob is a part of an image as messages name it.
type blob struct {
	kind   string // layer, config, attestation, or blob for what is none of them
	digest string // the first twelve digits
	size   int64  // bytes
	pull   bool   // the direction
}

// outcome is how a blob ended.
type outcome string

const (
	failed  outcome = "failed"
	skipped outcome = "skipped" // the registry has it already
	mounted outcome = "mounted" // taken over from another repository of the same registry
	pushed  outcome = "pushed"
	pulled  outcome = "pulled"
)

// minReported is the size of a blob that takes long enough to be a task.
const minReported = 64 << 10

// transfer reports one blob on its way. Its task begins with its first byte, so that
// blobs that are there already do not flicker by. Exactly one end follows, also after
// an error.
type transfer struct {
	report progress.Reporter
	blob   blob
	tally  *tally // nil: nobody counts

	mu    sync.Mutex
	task  progress.Task
	moved int64
}

// add counts n more bytes; n is negative when bytes must be sent again.
func (t *transfer) add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved += n
	if t.task == nil && n > 0 && t.blob.size >= minReported {
		t.task = t.report.Start(t.text("pulling", "pushing"), t.blob.size)
	}
	if t.task != nil {
		t.task.Add(n)
	}
}

func (t *transfer) end(result outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tally.count(t.blob, result, t.moved)
	switch {
	case t.task == nil:
		t.report.Debug(t.blob.kind + " " + t.blob.digest + " " + string(result))
	case result == failed:
		t.task.Fail()
	default:
		t.task.Done(t.text("pulled", "pushed"))
	}
}

func (t *transfer) text(pull, push string) string {
	verb := push
	if t.blob.pull {
		verb = pull
	}
	return verb + " " + t.blob.kind + " " + t.blob.digest + " (" + progress.Bytes(t.blob.size) + ")"
}
