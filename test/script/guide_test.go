package script

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestGuide: what the guide tells people to type is what a script runs.
func TestGuide(t *testing.T) {
	for page, script := range map[string]string{"supply-chain.md": "supply_chain_guide.txtar"} {
		guide, err := os.ReadFile("../../docs/guide/" + page)
		if err != nil {
			t.Fatal(err)
		}
		run, err := os.ReadFile("testdata/" + script)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no commands", page)
		}
		for _, block := range blocks {
			for command := range strings.Lines(block[1]) {
				command = strings.ReplaceAll(strings.TrimSpace(command), "registry.example", "$REGISTRY")
				if !strings.Contains(string(run), " "+command) {
					t.Errorf("%s: no line of %s runs %q", page, script, command)
				}
			}
		}
	}
}
