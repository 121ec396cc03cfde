package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// signKey makes a pair of keys in files.
func signKey(t *testing.T) (private, public string) {
	t.Helper()
	k, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private, public = filepath.Join(dir, "k.key"), filepath.Join(dir, "k.pub")
	secret, err := k.PEM("")
	if err != nil {
		t.Fatal(err)
	}
	open, err := k.Public().PEM()
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{private: secret, public: open} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}

// What has not changed costs one question more, for the tag of its key, and
// nothing is written.
func TestUnchangedAttachesNothing(t *testing.T) {
	l := newKeyLab(t)
	key, _ := signKey(t)
	home, dir := t.TempDir(), l.clone()
	first, _, _ := l.build(home, dir, "--sign-key", key)
	for label, test := range map[string]struct {
		args []string
		asks int // HEAD requests: the base, the key, the tag
	}{
		"plain":     {nil, 3},
		"signed":    {[]string{"--sign-key", key}, 4},
		"key alone": {[]string{"--sbom=false", "--provenance=false"}, -1},
	} {
		again, stderr, requests := l.build(home, dir, test.args...)
		if again != first {
			t.Errorf("%s: %s, not %s", label, again, first)
		}
		if test.asks < 0 { // another key: it is built, and found to be there
			continue
		}
		heads := 0
		for _, r := range requests {
			if strings.HasPrefix(r, "HEAD ") {
				heads++
			}
		}
		if got := writes(requests); len(got) > 0 || heads != test.asks || !strings.Contains(stderr, "unchanged") {
			t.Errorf("%s: wrote %q, %d questions: %q", label, got, heads, requests)
		}
	}
}

// The tag is the last thing that is written, but for the key's.
func TestTagComesLast(t *testing.T) {
	l := newKeyLab(t)
	key, _ := signKey(t)
	_, _, requests := l.build(t.TempDir(), l.clone(), "--sign-key", key)
	written := writes(requests)
	if len(written) < 6 {
		t.Fatalf("wrote %q", written)
	}
	last := written[len(written)-2:]
	if last[0] != "PUT /v2/me/hello/manifests/latest" || !strings.HasPrefix(last[1], "PUT /v2/me/hello/manifests/kn-lite-key-") {
		t.Errorf("the last that was written: %q", last)
	}
	if !slices.ContainsFunc(written, func(r string) bool { return strings.HasSuffix(r, ".sig") }) {
		t.Errorf("no signature: %q", written)
	}
}

// Without its documents an image is not found by its key: a later build brings them.
func TestKeyMeansAllIsThere(t *testing.T) {
	l := newKeyLab(t)
	home, dir := t.TempDir(), l.clone()
	ref, _, _ := l.build(home, dir, "--sbom=false", "--provenance=false")
	again, _, requests := l.build(home, dir)
	if again != ref || len(writes(requests)) == 0 {
		t.Errorf("%s, not %s; wrote %q", again, ref, writes(requests))
	}
	if _, stderr, requests := l.build(home, dir); len(writes(requests)) > 0 || !strings.Contains(stderr, "nothing to push") {
		t.Errorf("wrote %q", writes(requests))
	}
	if l.server.Count(regtest.PutManifest) == 0 {
		t.Error("no document was ever written, the test is broken")
	}
}
