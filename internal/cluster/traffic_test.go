package cluster

import (
	"testing"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

func TestUpdateWantsItsOwnSnapshot(t *testing.T) {
	if _, err := (splits{}).Update(t.Context(), &traffic.Snapshot{Name: "hello"}, traffic.Change{}); err == nil {
		t.Error("a snapshot from nowhere was written")
	}
}
