package registry

import (
	"errors"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Reference is an image's name taken apart.
type Reference struct {
	Registry   string // host[:port] as requests use it, e.g. index.docker.io
	Repository string // e.g. library/alpine
	Tag        string // "" when only a digest was given
	Digest     string // sha256:…, "" when there is none
}

// Name is the reference without tag and digest.
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// String is the reference in full.
func (r Reference) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// WithDigest is the reference that names exactly this content.
func (r Reference) WithDigest(digest string) string { return r.Name() + "@" + digest }

// identifier is what stands in a manifest's URL.
func (r Reference) identifier() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}

// Parse takes an image reference apart. Without a registry it is Docker Hub's,
// without tag and digest its tag is latest. Errors are Usage and say which part
// is wrong.
func Parse(ref string) (Reference, error) {
	if host, letter, rest, ok := cutOneLetter(ref); ok {
		r, err := Parse(host + "/" + letter + letter + rest)
		r.Repository = letter
		return r, err
	}
	parsed, err := name.ParseReference(ref, name.WeakValidation)
	// ggcr takes "https:" for a host, and looks at letters only, not at parts.
	if err == nil && (strings.Contains(ref, "//") || badPart(parsed.Context().RepositoryStr()) != "") {
		err = errors.New("not a reference")
	}
	if err != nil {
		return Reference{}, (&fault.Error{Op: "registry.parse", Kind: fault.Usage, Subject: "image " + quote(ref), Err: reason{whatIsWrong(ref), err}}).
			WithHint("an image reference is REGISTRY/NAME[:TAG] or REGISTRY/NAME@sha256:DIGEST, e.g. registry.example/team/hello:v1")
	}
	r := Reference{Registry: parsed.Context().RegistryStr(), Repository: parsed.Context().RepositoryStr()}
	switch p := parsed.(type) {
	case name.Tag:
		r.Tag = p.TagStr()
	case name.Digest:
		r.Digest = p.DigestStr()
		// ggcr forgets the tag of NAME:TAG@DIGEST; it is worth keeping for display.
		base, _, _ := strings.Cut(ref, "@")
		if tag, err := name.NewTag(base, name.WeakValidation); err == nil && strings.HasSuffix(base, ":"+tag.TagStr()) {
			r.Tag = tag.TagStr()
		}
	}
	return r, nil
}

// cutOneLetter finds a repository of one letter or digit. The distribution
// specification has them, and go-containerregistry wants two at least.
func cutOneLetter(ref string) (host, letter, rest string, ok bool) {
	host, path, found := strings.Cut(ref, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" || path == "" {
		return "", "", "", false
	}
	letter, rest = path[:1], path[1:]
	alphanumeric := letter[0] >= 'a' && letter[0] <= 'z' || letter[0] >= '0' && letter[0] <= '9'
	return host, letter, rest, alphanumeric && (rest == "" || rest[0] == ':' || rest[0] == '@')
}

// ParseTag is Parse for something to be written: a digest cannot be chosen.
func ParseTag(ref string) (Reference, error) {
	r, err := Parse(ref)
	if err == nil && r.Digest != "" {
		return Reference{}, fault.New(fault.Usage, "registry.parse", "image "+quote(ref), "a push goes to a tag, the digest follows from the content").
			WithHint("leave @%s out", r.Digest)
	}
	return r, err
}

// reason shows our own words and keeps the library's error in the chain.
type reason struct {
	text  string
	cause error
}

func (r reason) Error() string { return r.text }
func (r reason) Unwrap() error { return r.cause }

// whatIsWrong finds the part of a broken reference to complain about.
func whatIsWrong(ref string) string {
	if strings.TrimSpace(ref) == "" {
		return "the reference is empty"
	}
	for _, scheme := range []string{"https://", "http://", "docker://", "oci:"} {
		if strings.HasPrefix(ref, scheme) {
			return "leave out " + quote(scheme)
		}
	}
	if strings.ContainsAny(ref, " \t\n") {
		return "there is white space in it"
	}
	base, digest, hasDigest := strings.Cut(ref, "@")
	if hasDigest {
		algorithm, hex, ok := strings.Cut(digest, ":")
		switch {
		case !ok || algorithm != "sha256":
			return "the digest " + quote(digest) + " does not start with sha256:"
		case len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "":
			return "the digest after sha256: must be 64 lower-case hexadecimal digits"
		}
	}
	path := base
	if host, rest, ok := strings.Cut(base, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		path = rest
		if _, err := name.NewRegistry(host, name.WeakValidation); err != nil {
			return "the registry " + quote(host) + " is no host[:port]"
		}
	}
	path, tag, hasTag := cutLast(path, ":")
	switch {
	case path == "" || strings.HasSuffix(path, "/") || strings.HasPrefix(path, "/") || strings.Contains(path, "//"):
		return "a part of the name is empty"
	case len(path) > 255:
		return "the name has more than 255 characters"
	case path != strings.ToLower(path):
		return "the name " + quote(path) + " has upper-case letters"
	case strings.Trim(path, "abcdefghijklmnopqrstuvwxyz0123456789_-./") != "":
		return "the name " + quote(path) + " may have only a-z, 0-9, _ - . and /"
	case badPart(path) != "":
		return "the part " + quote(badPart(path)) + " of the name must start and end with a letter or digit"
	case hasTag && (tag == "" || len(tag) > 128):
		return "the tag must have 1 to 128 characters"
	case hasTag:
		return "the tag " + quote(tag) + " may have only letters, digits, _ - and ."
	}
	return "it does not parse"
}

// badPart is the first part of a repository's name that registries refuse
// (distribution specification, "Pulling manifests"), or "".
func badPart(path string) string {
	alphanumeric := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || !alphanumeric(part[0]) || !alphanumeric(part[len(part)-1]) || strings.Contains(part, "..") {
			return part + "/"
		}
	}
	return ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func quote(s string) string { return `"` + s + `"` }
