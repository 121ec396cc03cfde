package registry

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Collect removes what nobody needs: names that are older than age and whose image
// used does not report, manifests without a name, and blobs that no manifest has.
// Used is asked about digests.
func (k *Kept) Collect(ctx context.Context, age time.Duration, used func(digest string) bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := time.Now().Add(-age)
	needed := map[string]bool{}    // digests of manifests
	attached := map[string]named{} // by file: those with a subject
	err := k.eachName(func(name, reference, file string, entry named) {
		info, err := os.Stat(file)
		if err == nil && info.ModTime().After(old) || used(entry.Digest) {
			k.need(entry.Digest, needed)
			return
		}
		attached[file] = entry
	})
	if err != nil {
		return err
	}
	for changed := true; changed; {
		changed = false
		for file, entry := range attached {
			if needed[entry.Digest] || needed[k.parts(entry.Digest).subject] {
				k.need(entry.Digest, needed)
				delete(attached, file)
				changed = true
			}
		}
	}
	var failed []error
	for file := range attached {
		failed = append(failed, os.Remove(file))
	}
	failed = append(failed, k.sweep(filepath.Join(k.dir, "manifests"), old, needed))
	blobs := map[string]bool{}
	for digest := range needed {
		for _, blob := range k.parts(digest).blobs {
			blobs[blob] = true
		}
	}
	failed = append(failed, k.sweep(filepath.Join(k.dir, "sha256"), old, blobs))
	return errors.Join(append(failed, k.restore(ctx))...)
}

// need marks a manifest and, of an index, those it lists.
func (k *Kept) need(digest string, needed map[string]bool) {
	if needed[digest] {
		return
	}
	needed[digest] = true
	for _, child := range k.parts(digest).manifests {
		k.need(child, needed)
	}
}

// parts are the digests that a manifest names.
type parts struct {
	subject          string
	manifests, blobs []string
}

func (k *Kept) parts(digest string) (p parts) {
	raw, err := os.ReadFile(k.manifestFile(digest))
	if err != nil {
		return p
	}
	var m struct {
		Subject   *v1.Descriptor  `json:"subject"`
		Config    *v1.Descriptor  `json:"config"`
		Layers    []v1.Descriptor `json:"layers"`
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return p
	}
	if m.Subject != nil {
		p.subject = m.Subject.Digest.String()
	}
	for _, d := range m.Manifests {
		p.manifests = append(p.manifests, d.Digest.String())
	}
	if m.Config != nil {
		p.blobs = append(p.blobs, m.Config.Digest.String())
	}
	for _, d := range m.Layers {
		p.blobs = append(p.blobs, d.Digest.String())
	}
	return p
}

// sweep removes the old files of a folder whose digests are not in keep.
func (k *Kept) sweep(dir string, old time.Time, keep map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || keep["sha256:"+e.Name()] || info.ModTime().After(old) {
			continue
		}
		failed = append(failed, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(failed...)
}
