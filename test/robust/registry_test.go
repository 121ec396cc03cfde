//go:build e2e

package robust

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// get returns what the registry has at path, and whether it has it.
func (l *lab) get(t *testing.T, path string) ([]byte, bool) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+l.address+"/v2/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return raw, response.StatusCode == http.StatusOK
}

// checkTag reports whether the tag is there. If it is, so is all that it leads to,
// and the documents that are attached to it.
func (l *lab) checkTag(t *testing.T, tag string) bool {
	t.Helper()
	repository, tag, _ := strings.Cut(strings.TrimPrefix(tag, l.address+"/"), ":")
	raw, ok := l.get(t, repository+"/manifests/"+tag)
	if !ok {
		return false
	}
	l.checkManifest(t, repository, raw)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
	raw, ok = l.get(t, repository+"/referrers/"+digest)
	var referrers struct {
		Manifests []struct{ Digest string }
	}
	if !ok || json.Unmarshal(raw, &referrers) != nil || len(referrers.Manifests) != 2 {
		t.Errorf("the tag %s is there without its SBOM and provenance: %s", tag, raw)
	}
	for _, d := range referrers.Manifests {
		raw, ok := l.get(t, repository+"/manifests/"+d.Digest)
		if !ok {
			t.Errorf("%s is listed and not there", d.Digest)
			continue
		}
		l.checkManifest(t, repository, raw)
	}
	return true
}

// checkManifest wants all blobs to be there, and to be what they should be.
func (l *lab) checkManifest(t *testing.T, repository string, raw []byte) {
	t.Helper()
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal(raw, &manifest); err != nil || manifest.Config.Digest == "" {
		t.Fatalf("%v: %s", err, raw)
	}
	for _, d := range append(manifest.Layers, manifest.Config) {
		content, ok := l.get(t, repository+"/blobs/"+d.Digest)
		if got := fmt.Sprintf("sha256:%x", sha256.Sum256(content)); !ok || got != d.Digest {
			t.Errorf("%s: the blob %s is %s (there: %t)", repository, d.Digest, got, ok)
		}
	}
}
