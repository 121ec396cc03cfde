package build

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/inventory"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// Documents are what is written about an image.
type Documents struct {
	SBOM       bool
	Provenance bool
}

// AllDocuments is what a build writes unless it is told not to.
func AllDocuments() Documents { return Documents{SBOM: true, Provenance: true} }

// Facts are what the documents say that stands in no image.
type Facts struct {
	Name     string    // of the image, without registry and tag
	Version  string    // of kn-lite
	Builder  string    // layers, dockerfile, cluster
	Key      string    // of the build, in hex; "" when there is none
	Epoch    time.Time // as in Spec
	CacheDir string    // remembers what layers hold; "" remembers nothing
	// Source finds out what was built, which takes a moment; nil is not known.
	Source func(context.Context) *attest.Source
}

// Attest writes the documents about the image of each platform. They depend on
// the image and on facts alone. Layers of the base are not read.
func (r *Result) Attest(ctx context.Context, facts Facts, want Documents) ([]attest.Artifact, error) {
	subjects := make([]subject, len(r.Builds))
	var source *attest.Source
	group, groupCtx := parallel.WithContext(ctx)
	if want.Provenance && facts.Source != nil {
		group.Go(func() error {
			source = facts.Source(groupCtx)
			return nil
		})
	}
	for i := range r.Builds {
		group.Go(func() (err error) {
			s := &subjects[i]
			if err = s.describe(&r.Builds[i]); err == nil && want.SBOM {
				s.sbom, err = s.build.sbom(groupCtx, facts, s.Digest, s.base)
			}
			return err
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var out []attest.Artifact
	for i := range subjects {
		if err != nil {
			break
		}
		s := &subjects[i]
		if want.SBOM {
			out = append(out, attest.Document(attest.SPDXType, s.Descriptor, s.sbom))
		}
		if want.Provenance {
			var text []byte
			text, err = r.provenance(s, facts, source)
			out = append(out, attest.Document(attest.InTotoType, s.Descriptor, text))
		}
	}
	if err != nil {
		return nil, &fault.Error{Op: "build.attest", Kind: fault.KindOf(err), Err: err}
	}
	return out, nil
}

// subject is the image of one platform, as its documents see it.
type subject struct {
	attest.Descriptor
	build *PlatformBuild
	base  string // digest
	sbom  []byte
}

func (s *subject) describe(built *PlatformBuild) error {
	raw, err := built.Image.RawManifest()
	if err != nil {
		return err
	}
	manifest, err := built.Image.Manifest()
	if err != nil {
		return err
	}
	s.Descriptor = attest.Descriptor{MediaType: string(manifest.MediaType), Digest: attest.Digest(raw), Size: int64(len(raw))}
	s.build, s.base = built, manifest.Annotations[layer.AnnotationBaseDigest]
	return nil
}

// provenance is how the image was made.
func (r *Result) provenance(s *subject, facts Facts, source *attest.Source) ([]byte, error) {
	p := attest.Provenance{
		Name: facts.Name, Digest: s.Digest, Builder: facts.Builder, Platform: s.build.Platform.String(),
		Base: s.build.Base, BaseDigest: s.base, Used: maps.Clone(s.build.used), Key: facts.Key, Source: source,
		Epoch: epochOf(facts.Epoch).Unix(), Version: facts.Version,
	}
	delete(p.Used, s.build.Base)
	if r.Language != DockerfileLanguage {
		p.Language = r.Language
	}
	for _, b := range r.Builds {
		p.Platforms = append(p.Platforms, b.Platform.String())
	}
	return p.JSON()
}

// epochOf is the time of an image whose build was told none.
func epochOf(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0)
	}
	return t
}

// sbom is what the image is made of.
func (b *PlatformBuild) sbom(ctx context.Context, facts Facts, digest, baseDigest string) ([]byte, error) {
	packages, err := b.packages(ctx, facts.CacheDir)
	if err != nil {
		return nil, err
	}
	_, hex, _ := strings.Cut(digest, ":")
	s := attest.SBOM{
		Name: facts.Name, Namespace: "https://kn-lite.dev/spdx/" + facts.Name + "-" + hex,
		Created: epochOf(facts.Epoch), Tool: "kn-lite-" + facts.Version,
		Subject: attest.Package{
			Type: "oci", Name: facts.Name, Version: digest, Qualifiers: "arch=" + b.Platform.Architecture, Purpose: "CONTAINER",
			Checksums: []attest.Checksum{{Algorithm: "SHA256", Value: hex}},
		},
		Parts: packages, Relation: "CONTAINS",
	}
	if b.Base != "" {
		s.Base = basePackage(b.Base, baseDigest, b.Platform)
		s.Comment = "The packages of the base image are not listed, except where a layer of this build holds the whole database of a distribution: they are to be had from the base image by its digest."
	}
	return s.JSON()
}

// basePackage is the base image as a package.
func basePackage(ref, digest string, platform v1.Platform) *attest.Package {
	repository, _, _ := strings.Cut(pinned(ref, digest), "@")
	_, hex, _ := strings.Cut(digest, ":")
	return &attest.Package{
		Type: "oci", Name: repository[strings.LastIndex(repository, "/")+1:], Version: digest,
		Qualifiers: "arch=" + platform.Architecture + "&repository_url=" + url.QueryEscape(repository),
		Checksums:  []attest.Checksum{{Algorithm: "SHA256", Value: hex}}, Purpose: "CONTAINER",
		Comment: "base image " + ref,
	}
}

// packages is what the layers of this build hold, and what the language knows
// beyond that.
func (b *PlatformBuild) packages(ctx context.Context, cacheDir string) ([]attest.Package, error) {
	own := map[v1.Hash]bool{}
	for _, l := range b.Layers {
		own[l.Digest] = true
	}
	layers, err := b.Image.Layers()
	if err != nil {
		return nil, err
	}
	var found []*inventory.Found
	for _, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		if !own[digest] {
			continue
		}
		f, err := scan(ctx, l, digest, cacheDir)
		if err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	packages, _ := inventory.Merge(found)
	return attest.Sorted(append(packages, b.Packages...)), nil
}

// inventories is where it is remembered what layers hold, below the cache folder.
func inventories(cacheDir string) string {
	return filepath.Join(cacheDir, "packages-"+inventory.Format)
}

// scan reads a layer, unless it is known from before what is in it.
func scan(ctx context.Context, l v1.Layer, digest v1.Hash, cacheDir string) (*inventory.Found, error) {
	file := filepath.Join(inventories(cacheDir), digest.Hex+".json")
	if cacheDir != "" {
		var known inventory.Found
		if raw, err := sealed.Read(file); err == nil && json.Unmarshal(raw, &known) == nil {
			return &known, nil
		}
	}
	content, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	found, err := inventory.Scan(ctx, content)
	if err != nil || cacheDir == "" {
		return found, err
	}
	raw, err := json.Marshal(found)
	if err == nil {
		// What is not remembered is read again.
		_ = sealed.Write(file, raw)
	}
	return found, err
}
