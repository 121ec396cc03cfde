package attest

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
)

const (
	// InTotoType is the media type of an in-toto statement, and what the referrer
	// that holds it is called by.
	InTotoType = "application/vnd.in-toto+json"
	// ProvenanceType is the predicate of a statement that is provenance.
	ProvenanceType = "https://slsa.dev/provenance/v1"

	buildType = "https://kn-lite.dev/build/v1"
	builderID = "https://kn-lite.dev/builder/v1"
)

// Provenance is how an image was made, as SLSA v1 has it
// (https://slsa.dev/spec/v1.0/provenance). It holds no time: that of the build
// is not an input, and would make two statements of one fact.
type Provenance struct {
	Name   string // of the image, without registry and tag
	Digest string // sha256:… of its manifest

	// What was asked for.
	Builder   string // layers, dockerfile, cluster
	Language  string
	Platform  string   // that this image is for
	Platforms []string // that were built together
	Base      string   // reference; "" is the built-in base

	// What was used.
	BaseDigest string            // sha256:…
	Used       map[string]string // further images: reference → digest
	Key        string            // digest of all inputs, in hex; "" where there is none
	Source     *Source           // nil when it is not known
	Epoch      int64             // every time stamp in the image, in seconds since 1970

	Version string // of kn-lite
}

// Source is a clean checkout of a git repository.
type Source struct {
	Remote string // URL without credentials; "" when there is none
	Commit string // in hex
	Folder string // of the project, in the repository; "" is its root
}

type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []resource `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     predicate  `json:"predicate"`
	}
	resource struct {
		Name   string            `json:"name,omitempty"`
		URI    string            `json:"uri,omitempty"`
		Digest map[string]string `json:"digest,omitempty"`
	}
	predicate struct {
		BuildDefinition definition `json:"buildDefinition"`
		RunDetails      run        `json:"runDetails"`
	}
	definition struct {
		BuildType string     `json:"buildType"`
		External  external   `json:"externalParameters"`
		Internal  internal   `json:"internalParameters"`
		Resolved  []resource `json:"resolvedDependencies,omitempty"`
	}
	external struct {
		Builder   string   `json:"builder"`
		Language  string   `json:"language,omitempty"`
		Platforms []string `json:"platforms"`
		Base      string   `json:"base,omitempty"`
		Folder    string   `json:"folder,omitempty"`
	}
	internal struct {
		Platform        string `json:"platform"`
		SourceDateEpoch int64  `json:"sourceDateEpoch"`
	}
	run struct {
		Builder builder `json:"builder"`
	}
	builder struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version,omitempty"`
	}
)

// JSON is the in-toto statement.
func (p *Provenance) JSON() ([]byte, error) {
	s := statement{
		Type:          "https://in-toto.io/Statement/v1",
		Subject:       []resource{{Name: p.Name, Digest: digestSet(p.Digest)}},
		PredicateType: ProvenanceType,
		Predicate: predicate{
			BuildDefinition: definition{
				BuildType: buildType,
				External:  external{Builder: p.Builder, Language: p.Language, Platforms: slices.Clone(p.Platforms), Base: p.Base},
				Internal:  internal{Platform: p.Platform, SourceDateEpoch: p.Epoch},
			},
			RunDetails: run{Builder: builder{ID: builderID, Version: map[string]string{"kn-lite": p.Version}}},
		},
	}
	d := &s.Predicate.BuildDefinition
	if p.BaseDigest != "" {
		d.Resolved = append(d.Resolved, resource{Name: "base", URI: "docker://" + p.Base, Digest: digestSet(p.BaseDigest)})
	}
	for _, ref := range slices.Sorted(maps.Keys(p.Used)) {
		d.Resolved = append(d.Resolved, resource{Name: "image", URI: "docker://" + ref, Digest: digestSet(p.Used[ref])})
	}
	if p.Source != nil {
		source := resource{Name: "source", Digest: map[string]string{"gitCommit": p.Source.Commit}}
		if p.Source.Remote != "" {
			source.URI = "git+" + p.Source.Remote
		}
		d.Resolved, d.External.Folder = append(d.Resolved, source), p.Source.Folder
	}
	if p.Key != "" {
		d.Resolved = append(d.Resolved, resource{Name: "inputs", Digest: digestSet("sha256:" + p.Key)})
	}
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// digestSet is a digest as in-toto has it.
func digestSet(digest string) map[string]string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return map[string]string{algorithm: hex}
}

// RemoteURL is a git remote as it may be shown: as a URL, and without what may
// be a password. It is "" for a folder of this machine, whose name is nobody's
// business.
func RemoteURL(remote string) string {
	if host, path, ok := strings.Cut(remote, ":"); ok && !strings.Contains(remote, "://") {
		if len(host) < 2 || strings.ContainsAny(host, `/\`) { // a path, C:\ among them
			return ""
		}
		remote = "ssh://" + host + "/" + strings.TrimPrefix(path, "/") // git's short form
	}
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" || u.Scheme == "file" {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
