package traffic_test

import (
	"testing"

	"github.com/kn-lite/kn-lite/internal/clustertest"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// TestFakeConforms: what the tests of splits take for a cluster does what one does.
func TestFakeConforms(t *testing.T) {
	clustertest.Run(t, []clustertest.Part{clustertest.Splits}, func(*testing.T) *clustertest.Target {
		return &clustertest.Target{Splits: traffic.NewFake(), Split: "hello"}
	})
}
