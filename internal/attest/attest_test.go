package attest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPURL(t *testing.T) {
	tests := map[string]struct {
		p    Package
		name string
	}{
		"pkg:golang/github.com/burntsushi/toml@v1.5.0":      {GoModule("github.com/BurntSushi/toml", "v1.5.0"), "github.com/BurntSushi/toml"},
		"pkg:golang/example.com/x/v2@v2.0.0%2Bincompatible": {GoModule("example.com/x/v2", "v2.0.0+incompatible"), "example.com/x/v2"},
		"pkg:golang/stdlib@1.26.8":                          {GoModule("std", "go1.26.8"), "stdlib"},
		"pkg:golang/function":                               {GoModule("function", ""), "function"},
		"pkg:npm/express@5.1.0":                             {NPM("express", "5.1.0"), "express"},
		"pkg:npm/%40types/node@22.0.0":                      {NPM("@types/node", "22.0.0"), "@types/node"},
		"pkg:pypi/typing-extensions@4.12.2":                 {PyPI("typing_Extensions", "4.12.2"), "typing-extensions"},
		"pkg:maven/org.slf4j/slf4j-api@2.0.16":              {Maven("org.slf4j", "slf4j-api", "2.0.16"), "org.slf4j:slf4j-api"},
		"pkg:cargo/serde@1.0.0":                             {Crate("serde", "1.0.0"), "serde"},
		"pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64":  {Package{Type: "deb", Namespace: "debian", Name: "libc6", Version: "2.36-9+deb12u9", Qualifiers: "arch=amd64"}, "libc6"},
		"pkg:oci/hello@sha256%3A00?arch=arm64":              {Package{Type: "oci", Name: "hello", Version: "sha256:00", Qualifiers: "arch=arm64"}, "hello"},
		"pkg:generic/a%20b%2Fc%40d":                         {Package{Type: "generic", Name: "a b/c@d"}, "a b/c@d"},
	}
	for want, test := range tests {
		if got := test.p.PURL(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := test.p.FullName(); got != test.name {
			t.Errorf("%s is called %q, want %q", want, got, test.name)
		}
	}
}

func TestSBOMDependsOnContentOnly(t *testing.T) {
	s := SBOM{
		Name: "hello", Namespace: "https://kn-lite.dev/spdx/hello-1", Tool: "kn-lite-v1", Relation: "CONTAINS",
		Created: time.Unix(1_700_000_000, 0).In(time.FixedZone("elsewhere", 3600)),
		Subject: Package{Type: "oci", Name: "hello", Purpose: "CONTAINER"},
		Base:    &Package{Type: "oci", Name: "node"},
		Parts:   []Package{NPM("b", "1"), NPM("a", "2"), {Type: "npm", Name: "a", Version: "2", Found: "x"}},
	}
	one, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	s.Parts = []Package{s.Parts[2], s.Parts[1], s.Parts[0]}
	two, err := s.JSON()
	if err != nil || string(one) != string(two) {
		t.Errorf("the order of packages changes the document: %v\n%s\n%s", err, one, two)
	}
	var doc document
	if err := json.Unmarshal(one, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.CreationInfo.Created != "2023-11-14T22:13:20Z" {
		t.Errorf("created %s, want UTC", doc.CreationInfo.Created)
	}
	var names []string
	ids := map[string]bool{}
	for _, p := range doc.Packages {
		names = append(names, p.Name)
		ids[p.SPDXID] = true
	}
	if diff := cmp.Diff([]string{"hello", "node", "a", "b"}, names); diff != "" {
		t.Errorf("packages: %s", diff)
	}
	for _, r := range doc.Relationships {
		if !ids[r.Related] {
			t.Errorf("%+v leads nowhere", r)
		}
	}
	if r := doc.Relationships[1]; r.Type != "DESCENDANT_OF" || r.Related != "SPDXRef-base" {
		t.Errorf("the base is related by %+v", r)
	}
}

func TestProvenance(t *testing.T) {
	p := Provenance{
		Name: "hello", Digest: "sha256:aa", Builder: "layers", Language: "node", Platform: "linux/arm64",
		Platforms: []string{"linux/amd64", "linux/arm64"}, Base: "docker.io/library/node:22-slim", BaseDigest: "sha256:bb",
		Used: map[string]string{"b:1": "sha256:ee", "a:1": "sha256:ff"},
		Key:  "cc", Source: &Source{Remote: "https://example.com/x.git", Commit: "dd", Folder: "fn"}, Epoch: 7, Version: "v1.2.3",
	}
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type          string `json:"_type"`
		PredicateType string
		Subject       []resource
		Predicate     struct {
			BuildDefinition struct {
				BuildType            string
				ExternalParameters   map[string]any
				InternalParameters   map[string]any
				ResolvedDependencies []resource
			}
			RunDetails struct {
				Builder struct {
					ID      string
					Version map[string]string
				}
				Metadata any
			}
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	d := got.Predicate.BuildDefinition
	if got.Type != "https://in-toto.io/Statement/v1" || got.PredicateType != ProvenanceType || d.BuildType != "https://kn-lite.dev/build/v1" {
		t.Errorf("types: %s", text)
	}
	if diff := cmp.Diff([]resource{{Name: "hello", Digest: map[string]string{"sha256": "aa"}}}, got.Subject); diff != "" {
		t.Errorf("subject: %s", diff)
	}
	if diff := cmp.Diff([]resource{
		{Name: "base", URI: "docker://docker.io/library/node:22-slim", Digest: map[string]string{"sha256": "bb"}},
		{Name: "image", URI: "docker://a:1", Digest: map[string]string{"sha256": "ff"}},
		{Name: "image", URI: "docker://b:1", Digest: map[string]string{"sha256": "ee"}},
		{Name: "source", URI: "git+https://example.com/x.git", Digest: map[string]string{"gitCommit": "dd"}},
		{Name: "inputs", Digest: map[string]string{"sha256": "cc"}},
	}, d.ResolvedDependencies); diff != "" {
		t.Errorf("dependencies: %s", diff)
	}
	want := map[string]any{
		"builder": "layers", "language": "node", "platforms": []any{"linux/amd64", "linux/arm64"},
		"base": "docker.io/library/node:22-slim", "folder": "fn",
	}
	if diff := cmp.Diff(want, d.ExternalParameters); diff != "" {
		t.Errorf("external parameters: %s", diff)
	}
	if got.Predicate.RunDetails.Metadata != nil {
		t.Error("metadata holds times, and two builds of one thing would differ")
	}
	if v := got.Predicate.RunDetails.Builder.Version["kn-lite"]; v != "v1.2.3" {
		t.Errorf("builder version %q", v)
	}
}

func TestRemoteURL(t *testing.T) {
	for remote, want := range map[string]string{
		"https://ada:secret@example.com/team/x.git": "https://example.com/team/x.git",
		"https://token@example.com/x.git?private=1": "https://example.com/x.git",
		"git@example.com:team/x.git":                "ssh://example.com/team/x.git",
		"ssh://git@example.com:2222/x.git":          "ssh://example.com:2222/x.git",
		"/home/ada/x":                               "",
		"../x":                                      "",
		`C:\Users\ada\x`:                            "",
		"file:///home/ada/x":                        "",
		"":                                          "",
	} {
		if got := RemoteURL(remote); got != want {
			t.Errorf("%s: got %q, want %q", remote, got, want)
		}
		if strings.Contains(RemoteURL(remote), "secret") {
			t.Errorf("%s keeps the password", remote)
		}
	}
}

func TestArtifact(t *testing.T) {
	subject := Descriptor{MediaType: ManifestType, Digest: "sha256:aa", Size: 3, Annotations: map[string]string{"not": "this"}}
	a := Document(InTotoType, subject, []byte("{}\n"))
	raw, err := a.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), `"not":`) {
		t.Errorf("annotations of the subject's descriptor are not the subject's: %s", raw)
	}
	blobs := map[string][]byte{Digest([]byte("{}\n")): []byte("{}\n")}
	read := func(d Descriptor) ([]byte, error) { return blobs[d.Digest], nil }
	again, err := ReadArtifact(raw, read)
	if err != nil {
		t.Fatal(err)
	}
	if again.Type != InTotoType || again.Subject.Digest != "sha256:aa" || again.Annotations[AnnotationPredicate] != ProvenanceType {
		t.Errorf("read as %+v", again)
	}
	if text, ok := again.Content(InTotoType); !ok || string(text) != "{}\n" {
		t.Errorf("content %q", text)
	}
	if _, ok := again.Content(SPDXType); ok {
		t.Error("there is no SBOM in it")
	}
	blobs[Digest([]byte("{}\n"))] = []byte("[]\n")
	if _, err := ReadArtifact(raw, read); err == nil {
		t.Error("a changed blob is read")
	}
	if _, err := ReadArtifact([]byte("<html>"), read); err == nil {
		t.Error("a web page is read as a manifest")
	}
}
