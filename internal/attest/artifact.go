package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
)

// ManifestType is the media type of an artifact's manifest
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage).
const ManifestType = "application/vnd.oci.image.manifest.v1+json"

// AnnotationPredicate tells what a statement is about without reading it.
const AnnotationPredicate = "in-toto.io/predicate-type"

// Signatures are as cosign has them
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
const (
	SignatureType       = "application/vnd.dev.cosign.artifact.sig.v1+json"
	PayloadType         = "application/vnd.dev.cosign.simplesigning.v1+json"
	AnnotationSignature = "dev.cosignproject.cosign/signature"
)

// Descriptor points at a manifest or a blob.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

// Blob is a part of an artifact, with its content.
type Blob struct {
	MediaType   string
	Annotations map[string]string
	Content     []byte
}

// Descriptor points at the blob.
func (b Blob) Descriptor() Descriptor {
	return Descriptor{MediaType: b.MediaType, Digest: Digest(b.Content), Size: int64(len(b.Content)), Annotations: b.Annotations}
}

// Artifact is attached to an image as its referrer.
type Artifact struct {
	Type        string // SPDXType, InTotoType, or what signatures are called
	Annotations map[string]string
	Subject     Descriptor // the image
	Blobs       []Blob

	Stored bool // its registry has it already
}

// Manifest is an artifact's manifest as registries have it.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Subject       *Descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Config is an artifact's configuration, which says nothing. It has the type of
// the artifact: registries and tools of before OCI 1.1 look for it there.
func (a Artifact) Config() Blob { return Blob{MediaType: a.Type, Content: []byte("{}")} }

// Digest of content.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Document is the artifact of one document about subject: an SBOM or a statement.
func Document(kind string, subject Descriptor, text []byte) Artifact {
	a := Artifact{Type: kind, Subject: subject, Blobs: []Blob{{MediaType: kind, Content: text}}}
	if kind == InTotoType {
		a.Annotations = map[string]string{AnnotationPredicate: ProvenanceType}
	}
	return a
}

// RawManifest is the manifest.
func (a Artifact) RawManifest() ([]byte, error) {
	subject := Descriptor{MediaType: a.Subject.MediaType, Digest: a.Subject.Digest, Size: a.Subject.Size}
	m := Manifest{
		SchemaVersion: 2, MediaType: ManifestType, ArtifactType: a.Type,
		Config: a.Config().Descriptor(), Subject: &subject, Annotations: a.Annotations,
	}
	for _, b := range a.Blobs {
		m.Layers = append(m.Layers, b.Descriptor())
	}
	return json.Marshal(m)
}

// Descriptor points at the artifact, as a list of referrers has it.
func (a Artifact) Descriptor() (Descriptor, error) {
	raw, err := a.RawManifest()
	return Descriptor{
		MediaType: ManifestType, Digest: Digest(raw), Size: int64(len(raw)),
		ArtifactType: a.Type, Annotations: maps.Clone(a.Annotations),
	}, err
}

// Content finds the document of a kind among an artifact's blobs.
func (a Artifact) Content(kind string) ([]byte, bool) {
	for _, b := range a.Blobs {
		if b.MediaType == kind {
			return bytes.Clone(b.Content), true
		}
	}
	return nil, false
}

// ReadArtifact puts an artifact together from its manifest and its blobs, which
// read gives; what is not what its digest says is an error.
func ReadArtifact(raw []byte, read func(Descriptor) ([]byte, error)) (*Artifact, error) {
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	a := &Artifact{Type: m.ArtifactType, Annotations: m.Annotations}
	if a.Type == "" { // as older tools have it
		a.Type = m.Config.MediaType
	}
	if m.Subject != nil {
		a.Subject = *m.Subject
	}
	for _, d := range m.Layers {
		content, err := read(d)
		if err != nil {
			return nil, err
		}
		if got := Digest(content); got != d.Digest {
			return nil, fmt.Errorf("blob %s has the content of %s", d.Digest, got)
		}
		a.Blobs = append(a.Blobs, Blob{MediaType: d.MediaType, Annotations: d.Annotations, Content: content})
	}
	return a, nil
}
