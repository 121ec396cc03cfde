// Package attest writes down what an image is made of and how it was made: an
// SBOM as SPDX 2.3, provenance as SLSA v1 in an in-toto statement, and the OCI
// artifact in which either is attached to its image. The documents are pure functions
// of what they are given: the same input gives the same bytes, whatever the time
// and the machine. Nobody is asked and nothing is read here.
package attest

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Package is one thing that an image holds.
type Package struct {
	// The parts of its package URL (https://github.com/package-url/purl-spec):
	// golang, npm, pypi, maven, cargo, deb, apk, oci.
	Type       string `json:"type"`
	Namespace  string `json:"namespace,omitempty"` // with slashes where it has several parts
	Name       string `json:"name"`
	Version    string `json:"version,omitempty"`
	Qualifiers string `json:"qualifiers,omitempty"` // KEY=value&…, sorted and escaped

	URL       string     `json:"url,omitempty"` // where it comes from
	Checksums []Checksum `json:"checksums,omitempty"`
	Found     string     `json:"found,omitempty"` // where in the image it shows

	License string `json:"license,omitempty"` // an SPDX expression
	Purpose string `json:"purpose,omitempty"` // CONTAINER, APPLICATION, …: SPDX's primaryPackagePurpose
	Comment string `json:"comment,omitempty"`
}

// Checksum is a digest as SPDX has it.
type Checksum struct {
	Algorithm string `json:"algorithm"` // SHA256, SHA512, …
	Value     string `json:"checksumValue"`
}

// FullName is what people call the package: with its namespace, in the form that
// its ecosystem has.
func (p Package) FullName() string {
	switch {
	case p.Namespace == "" || p.Type == "deb" || p.Type == "apk":
		return p.Name
	case p.Type == "maven":
		return p.Namespace + ":" + p.Name
	}
	return p.Namespace + "/" + p.Name
}

// PURL is the package URL.
func (p Package) PURL() string {
	if p.Type == "golang" {
		// The specification wants lower case, though Go's own names tell case apart.
		p.Namespace, p.Name = strings.ToLower(p.Namespace), strings.ToLower(p.Name)
	}
	var b strings.Builder
	b.WriteString("pkg:" + p.Type + "/")
	if p.Namespace != "" {
		for part := range strings.SplitSeq(p.Namespace, "/") {
			b.WriteString(escape(part) + "/")
		}
	}
	b.WriteString(escape(p.Name))
	if p.Version != "" {
		b.WriteString("@" + escape(p.Version))
	}
	if p.Qualifiers != "" {
		b.WriteString("?" + p.Qualifiers)
	}
	return b.String()
}

// GoModule is a module, or for "std" the standard library with the version of Go.
func GoModule(module, version string) Package {
	if module == "std" {
		return Package{Type: "golang", Name: "stdlib", Version: strings.TrimPrefix(version, "go")}
	}
	p := Package{Type: "golang", Namespace: path.Dir(module), Name: path.Base(module), Version: version}
	if p.Namespace == "." {
		p.Namespace = ""
	}
	return p
}

// NPM is a package of Node.js: NAME or @SCOPE/NAME.
func NPM(name, version string) Package {
	p := Package{Type: "npm", Name: name, Version: version}
	if scope, rest, ok := strings.Cut(name, "/"); ok {
		p.Namespace, p.Name = scope, rest
	}
	return p
}

// PyPI is a distribution of Python, under its normalised name.
func PyPI(name, version string) Package {
	return Package{Type: "pypi", Name: strings.ReplaceAll(strings.ToLower(name), "_", "-"), Version: version}
}

// Maven is an artifact of Java.
func Maven(group, artifact, version string) Package {
	return Package{Type: "maven", Namespace: group, Name: artifact, Version: version}
}

// Crate is a crate of Rust.
func Crate(name, version string) Package { return Package{Type: "cargo", Name: name, Version: version} }

// escape percent-encodes all that need not stand as it is in every part of a
// package URL.
func escape(text string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// Sorted is packages by their package URL, each once: of two that say the same
// the one that is found first by its place is kept.
func Sorted(packages []Package) []Package {
	out := slices.Clone(packages)
	slices.SortFunc(out, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.PURL(), b.PURL()), cmp.Compare(a.Found, b.Found))
	})
	return slices.CompactFunc(out, func(a, b Package) bool { return a.PURL() == b.PURL() })
}
