package sandbox

import (
	"os"
	"testing"

	"github.com/kn-lite/kn-lite/test/ordinary"
)

// As a user who owns nothing, pods are what they are for root.
func TestPodsOfAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, the other tests run as one")
	}
	ordinary.Run(t, "TestContainers|TestPrograms|TestExec|TestZombies|TestTheWay|TestNothing")
}
