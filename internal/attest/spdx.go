package attest

import (
	"encoding/json"
	"fmt"
	"time"
)

// SPDXType is the media type of an SBOM, and what its referrer is called by.
const SPDXType = "application/spdx+json"

// SBOM says what Subject is made of.
type SBOM struct {
	Name      string // of the document
	Namespace string // a URI that no other document has
	Created   time.Time
	Tool      string // NAME-VERSION
	Subject   Package
	Base      *Package // the image that Subject stands on; nil when there is none
	Parts     []Package
	// Relation is how Subject and its parts are related: CONTAINS, DEPENDS_ON.
	Relation string
	Comment  string // what the document does not know
}

// noAssertion is how SPDX says that nobody has looked.
const noAssertion = "NOASSERTION"

// The JSON of SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/).
type (
	document struct {
		SPDXVersion       string         `json:"spdxVersion"`
		DataLicense       string         `json:"dataLicense"`
		SPDXID            string         `json:"SPDXID"`
		Name              string         `json:"name"`
		DocumentNamespace string         `json:"documentNamespace"`
		CreationInfo      creation       `json:"creationInfo"`
		Comment           string         `json:"comment,omitempty"`
		Packages          []spdxPackage  `json:"packages"`
		Relationships     []relationship `json:"relationships"`
	}
	creation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		SPDXID           string        `json:"SPDXID"`
		Name             string        `json:"name"`
		VersionInfo      string        `json:"versionInfo,omitempty"`
		DownloadLocation string        `json:"downloadLocation"`
		FilesAnalyzed    bool          `json:"filesAnalyzed"`
		LicenseConcluded string        `json:"licenseConcluded"`
		LicenseDeclared  string        `json:"licenseDeclared"`
		CopyrightText    string        `json:"copyrightText"`
		Purpose          string        `json:"primaryPackagePurpose,omitempty"`
		SourceInfo       string        `json:"sourceInfo,omitempty"`
		Comment          string        `json:"comment,omitempty"`
		Checksums        []Checksum    `json:"checksums,omitempty"`
		ExternalRefs     []externalRef `json:"externalRefs,omitempty"`
	}
	externalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	relationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

// JSON is the document. Its packages are sorted, and nothing in it depends on
// the order in which they were found.
func (s *SBOM) JSON() ([]byte, error) {
	const subject, base = "SPDXRef-subject", "SPDXRef-base"
	doc := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
		Name: s.Name, DocumentNamespace: s.Namespace, Comment: s.Comment,
		CreationInfo:  creation{Created: s.Created.UTC().Format(time.RFC3339), Creators: []string{"Tool: " + s.Tool}},
		Packages:      []spdxPackage{s.Subject.spdx(subject)},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", subject}},
	}
	if s.Base != nil {
		doc.Packages = append(doc.Packages, s.Base.spdx(base))
		doc.Relationships = append(doc.Relationships, relationship{subject, "DESCENDANT_OF", base})
	}
	for i, p := range Sorted(s.Parts) {
		id := fmt.Sprintf("SPDXRef-package-%d", i+1)
		doc.Packages = append(doc.Packages, p.spdx(id))
		doc.Relationships = append(doc.Relationships, relationship{subject, s.Relation, id})
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	return append(text, '\n'), err
}

func (p Package) spdx(id string) spdxPackage {
	or := func(text string) string {
		if text == "" {
			return noAssertion
		}
		return text
	}
	out := spdxPackage{
		SPDXID: id, Name: p.FullName(), VersionInfo: p.Version, DownloadLocation: or(p.URL),
		LicenseConcluded: noAssertion, LicenseDeclared: or(p.License), CopyrightText: noAssertion,
		Purpose: p.Purpose, Comment: p.Comment, Checksums: p.Checksums,
	}
	if p.Found != "" {
		out.SourceInfo = "found in /" + p.Found
	}
	if p.Type != "" {
		out.ExternalRefs = []externalRef{{Category: "PACKAGE-MANAGER", Type: "purl", Locator: p.PURL()}}
	}
	return out
}
