package local

import (
	"os"
	"testing"

	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

func TestMain(m *testing.M) {
	if code, ours := sandbox.Inside(os.Args, os.Stdin, os.Stdout, rootfs.Guests()); ours {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
