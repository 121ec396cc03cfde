package runtime

import (
	"os"
	"testing"

	"github.com/kn-lite/kn-lite/test/ordinary"
)

// As a user who owns nothing, containers are what they are for root.
func TestContainersOfAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, the other tests run as one")
	}
	ordinary.Run(t, "TestAnImage|TestContainersHave|TestContainersReach|TestPlain")
}
