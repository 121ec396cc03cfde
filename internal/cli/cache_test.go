package cli

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// buildLayout builds into an OCI layout with the caches in home, checks every
// blob of it, and returns the answer.
func (l *keyLab) buildLayout(home, dir string) string {
	l.t.Helper()
	into := filepath.Join(l.t.TempDir(), "image")
	sys, stdout, stderr := testSystem(l.t, "build", dir, "--no-start-check", "--base-image", l.host+"/base/node:22", "-o", "oci:"+into)
	env := map[string]string{"HOME": home, "KN_LITE_REGISTRY": l.host + "/me"}
	sys.Env = func(name string) string { return env[name] }
	// Files are remembered once they have been the same for a while.
	sys.Now = func() time.Time { return time.Now().Add(time.Minute) }
	if code := Main(context.Background(), sys); code != 0 {
		l.t.Fatalf("exit %d: %s", code, stderr)
	}
	index, err := layout.ImageIndexFromPath(into)
	if err != nil {
		l.t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		l.t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err == nil {
		err = validate.Image(image)
	}
	if err != nil {
		l.t.Fatalf("the layout is damaged: %v", err)
	}
	return strings.TrimSpace(stdout.String())
}

// Whatever has become of a file of the cache, the next build gives the right
// image, and the one after that finds a cache that is whole again.
func TestCachesHeal(t *testing.T) {
	l := newKeyLab(t)
	home, dir := t.TempDir(), l.clone()
	right := l.buildLayout(home, dir)
	l.buildLayout(home, dir)
	contents := map[string][]byte{}
	err := filepath.WalkDir(home, func(at string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			contents[at], err = os.ReadFile(at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	folders := map[string]bool{}
	for at := range contents {
		files = append(files, at)
		rel, _ := filepath.Rel(filepath.Join(home, ".cache", "kn-lite"), at)
		folders[strings.SplitN(rel, string(filepath.Separator), 2)[0]] = true
	}
	slices.Sort(files)
	for _, want := range []string{"keys", "layers", "blobs", "stat", "last"} {
		if !folders[want] {
			t.Errorf("the cache has no %s, the test is broken: %v", want, folders)
		}
	}
	for _, at := range files {
		whole := contents[at]
		harm := map[string][]byte{"empty": nil, "half": whole[:len(whole)/2], "zeros": make([]byte, len(whole)), "longer": append(bytes.Clone(whole), 0)}
		for _, part := range []int{0, len(whole) / 3, 2 * len(whole) / 3, len(whole) - 1} {
			if part >= 0 && part < len(whole) {
				changed := bytes.Clone(whole)
				changed[part] ^= 1
				harm["changed at "+string(rune('a'+part*25/max(1, len(whole))))] = changed
			}
		}
		for _, other := range files {
			if other != at && filepath.Dir(other) == filepath.Dir(at) {
				harm["another's"] = contents[other]
			}
		}
		for what, content := range harm {
			if bytes.Equal(content, whole) {
				continue
			}
			if err := os.WriteFile(at, content, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := l.buildLayout(home, dir); got != right {
					t.Errorf("%s is %s: %s, not %s", at[len(home):], what, got, right)
				}
			}
		}
	}
}
