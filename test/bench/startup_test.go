//go:build bench

package bench

import (
	"os"
	"testing"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

// TestStartup is what every command and every completion of a word waits for:
// commands that build nothing and ask nobody.
func TestStartup(t *testing.T) {
	runs := 11
	if full() {
		runs = 101
	}
	env := append(toolenv.Home(t.TempDir()), "PATH="+os.Getenv("PATH"))
	for _, command := range []struct {
		name string
		args []string
	}{
		{"version", []string{"version"}},
		{"--help", []string{"--help"}},
		{"completion of a command", []string{"__complete", "de"}},
		{"completion script", []string{"completion", "bash"}},
	} {
		t.Run(command.name, func(t *testing.T) {
			var all []*contender
			for _, name := range []string{"kn-lite", "kn", "func", "ko"} {
				all = append(all, &contender{name: name, dir: t.TempDir(), env: env, commands: [][]string{append([]string{program(t, name)}, command.args...)}})
			}
			measure(t, runs, all...)
			compare(t, command.name, all...)
			atMost(t, 0.5, all[0], all[1])
		})
	}
	for _, name := range []string{"kn-lite", "kn", "func", "ko"} {
		info, err := os.Stat(program(t, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s is %.1f MB, stripped", name, float64(info.Size())/1e6)
		if name == "kn-lite" {
			aim(t, "its size in MB", float64(info.Size())/1e6, 42)
		}
	}
}
