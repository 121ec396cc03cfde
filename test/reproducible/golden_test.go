//go:build e2e

package reproducible

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// created is func.yaml's line with the time when the project was made.
var created = regexp.MustCompile(`(?m)^created: .*$`)

// goldenFile has lines of TEMPLATE TOOLCHAIN DIGEST.
const goldenFile = "testdata/golden"

// golden compares a template's digest with the one that is written down, so that
// a change of what users get is a change that somebody has seen. It holds for a
// release of the toolchain and its platform; UPDATE=1 writes it down anew.
//
// Only images on the built-in base have one: another base moves with its
// distribution.
func golden(t *testing.T, m *machine, template, digest string) {
	t.Helper()
	if !strings.HasPrefix(template, "go-") {
		return
	}
	out, err := exec.Command("go", "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	toolchain := strings.Join(strings.Fields(string(out)), "/")
	line := template + " " + toolchain + " "
	raw, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") == "1" {
		var keep []string
		for scanner := bufio.NewScanner(strings.NewReader(string(raw))); scanner.Scan(); {
			if !strings.HasPrefix(scanner.Text(), line) {
				keep = append(keep, scanner.Text())
			}
		}
		keep = append(keep, line+digest)
		if err := os.WriteFile(goldenFile, []byte(strings.Join(keep, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for scanner := bufio.NewScanner(strings.NewReader(string(raw))); scanner.Scan(); {
		if want, ok := strings.CutPrefix(scanner.Text(), line); ok {
			if digest != want {
				t.Errorf("%s is %s, and %s has %s for %s: see what has changed with `kn-lite image diff`, and write it down with UPDATE=1", template, digest, goldenFile, want, toolchain)
			}
			return
		}
	}
	t.Logf("%s has no digest for %s: UPDATE=1 writes it down", goldenFile, toolchain)
}
