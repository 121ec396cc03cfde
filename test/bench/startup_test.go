//go:build bench

package bench

import (
	"os"
	"testing"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

// TestStartup is what every command and every completion of a word waits for.
func TestStartup(t *testing.T) {
	runs := 21
	if full() {
		runs = 101
	}
	env := append(toolenv.Home(t.TempDir()), "PATH="+os.Getenv("PATH"))
	version := func(name string) *contender {
		return &contender{name: name, dir: t.TempDir(), env: env, args: []string{program(t, name), "version"}}
	}
	knLite, kn, ko := version("kn-lite"), version("kn"), version("ko")
	measure(t, runs, knLite, kn, ko)
	compare(t, "version", knLite, kn, ko)
	atMost(t, 0.5, knLite, kn)
}
