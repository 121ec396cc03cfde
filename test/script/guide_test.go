package script

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuideCommands holds the guide's pages against the scripts that run their
// commands: guide_NAME.txtar for docs/guide/NAME.md. The hosts of a page are
// registries of its script.
func TestGuideCommands(t *testing.T) {
	scripts, err := filepath.Glob("testdata/guide_*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```")
	variables := regexp.MustCompile(`\$[A-Z]+\b`)
	files := regexp.MustCompile(`\b[A-Z]+(-client)?\.(pem|crt|key)\b`)
	// What differs between a page and its script is the registry and the files.
	plain := func(text string) string {
		text = variables.ReplaceAllString(text, "registry.example")
		return files.ReplaceAllString(text, "FILE.$2")
	}
	for _, script := range scripts {
		name := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(script), "guide_"), ".txtar"), "_", "-")
		page, err := os.ReadFile(filepath.Join("../../docs/guide", name+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		raw, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		runs := plain(string(raw))
		commands := 0
		for _, block := range blocks.FindAllStringSubmatch(string(page), -1) {
			for line := range strings.Lines(block[1]) {
				_, command, ok := strings.Cut(line, "kn-lite ")
				if !ok {
					continue
				}
				command, _, _ = strings.Cut(strings.TrimSpace(command), " <")
				command = regexp.MustCompile(`\b(corp|me)\.(pem|crt|key)\b`).ReplaceAllString(command, "FILE.$2")
				commands++
				if !strings.Contains(runs, "kn-lite "+command) {
					t.Errorf("%s.md has a command that %s does not run: kn-lite %s", name, filepath.Base(script), command)
				}
			}
		}
		if commands < 4 {
			t.Errorf("%s.md has %d commands only: is it read rightly?", name, commands)
		}
	}
}
