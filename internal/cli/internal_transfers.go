package cli

import (
	"sync"

	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/term"
)

// logTransfers writes what is pulled and pushed to the pod's log: a line for
// each blob that takes a moment.
type logTransfers struct{ log *clusterbuild.Log }

// Begin implements registry.Progress.
func (t logTransfers) Begin(b registry.Blob) registry.Transfer {
	return &logTransfer{log: t.log, blob: b}
}

type logTransfer struct {
	log  *clusterbuild.Log
	blob registry.Blob

	mu   sync.Mutex
	task progress.Task
}

// Add implements registry.Transfer.
func (t *logTransfer) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.task == nil && n > 0 && t.blob.Size >= 1<<20 {
		t.task = t.log.Start(t.text("pulling", "pushing"), t.blob.Size)
	}
}

// Done implements registry.Transfer.
func (t *logTransfer) Done(outcome registry.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.task == nil:
	case outcome == registry.Failed:
		t.task.Fail()
	default:
		t.task.Done(t.text("pulled", "pushed"))
	}
}

func (t *logTransfer) text(pull, push string) string {
	verb := push
	if t.blob.Pull {
		verb = pull
	}
	return verb + " " + t.blob.Kind + " " + t.blob.Digest + " (" + term.Bytes(t.blob.Size) + ")"
}
