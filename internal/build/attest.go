package build

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/inventory"
	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
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
	Name     string         // of the image, without registry and tag
	Version  string         // of kn-lite
	Builder  string         // layers, dockerfile, cluster
	Key      string         // of the build, in hex; "" when there is none
	Source   *attest.Source // nil when it is not known
	Epoch    time.Time      // as in Spec
	CacheDir string         // remembers what layers hold; "" remembers nothing
}

// Attest writes the documents about the image of each platform. They depend on
// the image and on facts alone. Layers of the base are not read.
func (r *Result) Attest(ctx context.Context, facts Facts, want Documents) ([]attest.Artifact, error) {
	made := make([][]attest.Artifact, len(r.Builds))
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range r.Builds {
		group.Go(func() (err error) {
			made[i], err = r.attest(groupCtx, &r.Builds[i], facts, want)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &fault.Error{Op: "build.attest", Kind: fault.KindOf(err), Err: err}
	}
	var out []attest.Artifact
	for _, documents := range made {
		out = append(out, documents...)
	}
	return out, nil
}

func (r *Result) attest(ctx context.Context, built *PlatformBuild, facts Facts, want Documents) ([]attest.Artifact, error) {
	raw, err := built.Image.RawManifest()
	if err != nil {
		return nil, err
	}
	manifest, err := built.Image.Manifest()
	if err != nil {
		return nil, err
	}
	subject := attest.Descriptor{MediaType: string(manifest.MediaType), Digest: attest.Digest(raw), Size: int64(len(raw))}
	baseDigest := manifest.Annotations[layer.AnnotationBaseDigest]
	var out []attest.Artifact
	if want.SBOM {
		text, err := built.sbom(ctx, facts, subject.Digest, baseDigest)
		if err != nil {
			return nil, err
		}
		out = append(out, attest.Document(attest.SPDXType, subject, text))
	}
	if want.Provenance {
		p := attest.Provenance{
			Name: facts.Name, Digest: subject.Digest, Builder: facts.Builder, Platform: built.Platform.String(),
			Base: built.Base, BaseDigest: baseDigest, Key: facts.Key, Source: facts.Source,
			Epoch: epochOf(facts.Epoch).Unix(), Version: facts.Version,
			Used: maps.Clone(built.used),
		}
		delete(p.Used, built.Base)
		if r.Language != DockerfileLanguage {
			p.Language = r.Language
		}
		for _, b := range r.Builds {
			p.Platforms = append(p.Platforms, b.Platform.String())
		}
		text, err := p.JSON()
		if err != nil {
			return nil, err
		}
		out = append(out, attest.Document(attest.InTotoType, subject, text))
	}
	return out, nil
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
		if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &known) == nil {
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
		_ = key.WriteFile(file, raw)
	}
	return found, err
}
