package server

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
func (reg *Registry) Collect(ctx context.Context, age time.Duration, used func(digest string) bool) error {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	old := time.Now().Add(-age)
	needed := map[string]bool{}      // digests of manifests
	unused := map[string]nameEntry{} // by file: they go, unless attached to what is needed
	err := reg.eachName(func(name, reference, file string, entry nameEntry) {
		info, err := os.Stat(file)
		if err == nil && info.ModTime().After(old) || used(entry.Digest) {
			reg.markNeeded(entry.Digest, needed)
			return
		}
		unused[file] = entry
	})
	if err != nil {
		return err
	}
	for changed := true; changed; {
		changed = false
		for file, entry := range unused {
			if needed[entry.Digest] || needed[reg.references(entry.Digest).subject] {
				reg.markNeeded(entry.Digest, needed)
				delete(unused, file)
				changed = true
			}
		}
	}
	var failed []error
	for file := range unused {
		failed = append(failed, os.Remove(file))
	}
	failed = append(failed, reg.sweep(filepath.Join(reg.dir, "manifests"), old, needed))
	blobs := map[string]bool{}
	for digest := range needed {
		for _, blob := range reg.references(digest).blobs {
			blobs[blob] = true
		}
	}
	failed = append(failed, reg.sweep(filepath.Join(reg.dir, "sha256"), old, blobs))
	return errors.Join(append(failed, reg.restore(ctx))...)
}

// markNeeded marks a manifest and, of an index, those it lists.
func (reg *Registry) markNeeded(digest string, needed map[string]bool) {
	if needed[digest] {
		return
	}
	needed[digest] = true
	for _, child := range reg.references(digest).manifests {
		reg.markNeeded(child, needed)
	}
}

// references are the digests that a manifest names.
type references struct {
	subject          string
	manifests, blobs []string
}

func (reg *Registry) references(digest string) (p references) {
	raw, err := os.ReadFile(reg.manifestFile(digest))
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

// sweep removes the old files of a folder whose digests are not needed.
func (reg *Registry) sweep(dir string, old time.Time, needed map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || needed["sha256:"+e.Name()] || info.ModTime().After(old) {
			continue
		}
		failed = append(failed, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(failed...)
}
