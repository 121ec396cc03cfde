package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/image/layout"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Record is the result of an earlier build with the same key.
type Record struct {
	Language string          `json:"language"`
	Top      v1.Descriptor   `json:"top"` // the image or the index
	Builds   []RecordedBuild `json:"builds"`
	Small    []v1.Hash       `json:"small"` // manifests and configs among the blobs
	prepared *Prepared
	file     string
}

// RecordedBuild is PlatformBuild as it is saved.
type RecordedBuild struct {
	Platform v1.Platform      `json:"platform"`
	Base     string           `json:"base,omitempty"`
	Layers   []LayerInfo      `json:"layers"`
	Packages []attest.Package `json:"packages,omitempty"`
}

// LookupRecord finds the result of an earlier build with the key id, on this
// machine. A record that lacks one of its blobs counts as none.
func (p *Prepared) LookupRecord(id *key.Key) (*Record, bool) {
	r := &Record{prepared: p, file: filepath.Join(p.builder.records(), id.String()+".json")}
	raw, err := sealed.Read(r.file)
	if err != nil || json.Unmarshal(raw, r) != nil || len(r.Builds) == 0 {
		return nil, false
	}
	for digest, size := range r.blobs() {
		info, err := os.Stat(r.blob(digest))
		if err != nil || size >= 0 && info.Size() != size {
			return nil, false
		}
		// Manifests and configs are small, and nothing but a new record would mend them.
		if size < 0 && checkBlob(r.blob(digest), digest) != nil {
			return nil, false
		}
	}
	// The time of the last use decides what is swept away.
	if now := p.builder.spec.Now; now != nil {
		_ = os.Chtimes(r.file, now(), now())
		for digest := range r.blobs() {
			_ = os.Chtimes(r.blob(digest), now(), now())
		}
	}
	return r, true
}

func (r *Record) blob(digest v1.Hash) string {
	return layout.BlobFile(r.prepared.builder.spec.CacheDir, digest)
}

// blobs is what has to be there, with its size where that is known, else -1.
func (r *Record) blobs() map[v1.Hash]int64 {
	out := map[v1.Hash]int64{}
	for _, digest := range r.Small {
		out[digest] = -1
	}
	for _, built := range r.Builds {
		for _, l := range built.Layers {
			out[l.Digest] = l.Size
		}
	}
	return out
}

// Result is the record without its image, for those who only want to know.
func (r *Record) Result() *Result {
	result := &Result{Language: r.Language, Digest: r.Top.Digest}
	for _, b := range r.Builds {
		built := PlatformBuild{Platform: b.Platform, Base: b.Base, Layers: slices.Clone(b.Layers), Packages: b.Packages}
		for i := range built.Layers {
			built.Layers[i].Cached = true
		}
		result.Builds = append(result.Builds, built)
	}
	return result
}

// Open gives the image itself. Its own layers are checked first: what the
// record says must be what is there.
func (r *Record) Open(ctx context.Context) (*Result, error) {
	for digest := range r.blobs() {
		if err := checkBlob(r.blob(digest), digest); err != nil {
			return nil, err
		}
	}
	spec := &r.prepared.builder.spec
	root, err := os.OpenRoot(spec.CacheDir) // it stays open: layers are read later
	if err != nil {
		return nil, err
	}
	k := &layoutReader{ctx: ctx, layout: layout.NewReaderIn(root), pull: spec.Pull}
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{r.Top}})
	if err != nil {
		return nil, err
	}
	result, _, err := k.open(raw)
	if err != nil {
		return nil, err
	}
	known := r.Result()
	result.Language = r.Language
	for i := range result.Builds {
		made := &result.Builds[i]
		made.Platform, made.Layers, made.Packages = known.Builds[i].Platform, known.Builds[i].Layers, known.Builds[i].Packages
	}
	return result, nil
}

func checkBlob(file string, digest v1.Hash) (err error) {
	f, err := regular.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != digest.Hex {
		return fmt.Errorf("blob %s is damaged", digest)
	}
	return nil
}

// SaveRecord saves result under the key id, for LookupRecord, and what id is made of,
// for Explain. The inputs are looked at once more for that: when one of them has
// changed since ComputeKey, nobody knows which of its versions is in the image, and
// nothing is remembered.
func (p *Prepared) SaveRecord(ctx context.Context, id *key.Key, result *Result) (remembered bool, err error) {
	// A plan is made of files too.
	again, err := Prepare(ctx, p.builder.spec)
	if err != nil {
		return false, err
	}
	defer again.Close()
	again.builder.resolved = p.builder.resolved
	now, _, err := again.ComputeKey(ctx)
	if err != nil || now == nil || now.String() != id.String() {
		return false, err
	}
	if err := p.writeRecord(id, result); err != nil {
		return false, err
	}
	raw, err := json.Marshal(id)
	if err != nil {
		return false, err
	}
	return true, sealed.Write(p.historyFile(), raw)
}

func (p *Prepared) historyFile() string {
	return filepath.Join(p.builder.histories(), folderName(p.builder.project.Dir)+".json")
}

func (p *Prepared) writeRecord(id *key.Key, result *Result) error {
	top, err := result.descriptor()
	if err != nil {
		return err
	}
	r := Record{Language: result.Language, Top: *top}
	keep := func(raw []byte, err error) error {
		if err != nil {
			return err
		}
		digest := v1.Hash{Algorithm: "sha256", Hex: hexDigest(raw)}
		r.Small = append(r.Small, digest)
		return sealed.WriteFile(layout.BlobFile(p.builder.spec.CacheDir, digest), raw)
	}
	if result.Index != nil {
		if err := keep(result.Index.RawManifest()); err != nil {
			return err
		}
	}
	for _, built := range result.Builds {
		if err := errors.Join(keep(built.Image.RawManifest()), keep(built.Image.RawConfigFile())); err != nil {
			return err
		}
		r.Builds = append(r.Builds, RecordedBuild{Platform: built.Platform, Base: built.Base, Layers: built.Layers, Packages: built.Packages})
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return sealed.Write(filepath.Join(p.builder.records(), id.String()+".json"), raw)
}

func hexDigest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// LayoutMatches reports whether SaveLayout has left exactly this image for the project in dir,
// under this tag and with these documents, and whether it is whole.
func LayoutMatches(dir string, digest v1.Hash, tag string, documents Documents) bool {
	root, err := openLayoutRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	raw, err := regular.ReadFileIn(root, layout.IndexFile)
	if err != nil {
		return false
	}
	k := &layoutReader{ctx: context.Background(), layout: layout.NewReaderIn(root), own: true}
	r, at, err := k.open(raw)
	if err != nil || r.Digest != digest || at != tag {
		return false
	}
	wanted := 0
	for _, want := range []bool{documents.SBOM, documents.Provenance} {
		if want {
			wanted += len(r.Builds)
		}
	}
	return len(r.Attached) == wanted
}

// ResultFromDigest is the result of a build on another machine with the same key, of
// which only the digest is known.
func (p *Prepared) ResultFromDigest(digest v1.Hash) *Result {
	result := &Result{Language: p.builder.language.Name(), Digest: digest}
	for _, platform := range p.platforms {
		result.Builds = append(result.Builds, PlatformBuild{Platform: platform, Base: p.builder.baseRef()})
	}
	return result
}
