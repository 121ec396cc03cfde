package cli

import (
	"sync"

	"github.com/kn-lite/kn-lite/internal/clusterbuild"
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

	mu  sync.Mutex
	end func(string, bool)
}

// Add implements registry.Transfer.
func (t *logTransfer) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil && n > 0 && t.blob.Size >= 1<<20 {
		t.end = t.log.Step(t.text("pulling", "pushing"))
	}
}

// Done implements registry.Transfer.
func (t *logTransfer) Done(outcome registry.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end != nil {
		t.end(t.text("pulled", "pushed"), outcome != registry.Failed)
	}
}

func (t *logTransfer) text(pull, push string) string {
	verb := push
	if t.blob.Pull {
		verb = pull
	}
	return verb + " " + t.blob.Kind + " " + t.blob.Digest + " (" + term.Bytes(t.blob.Size) + ")"
}
