package dockerfile

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// platform returns what the base of a stage is to be for.
func (b *builder) platform(def instructions.Stage) (v1.Platform, error) {
	if def.Platform == "" {
		return b.Platform, nil
	}
	text, err := b.plan.expand(def.Platform, b.plan.global)
	var p v1.Platform
	if err == nil {
		p, err = parsePlatform(text)
	}
	if err != nil {
		return p, b.at(def.Location, "FROM --platform=%s: %w", def.Platform, err)
	}
	return p, nil
}

// parsePlatform reads OS/ARCH/VARIANT, an architecture alone, or a system alone,
// under the names that Docker takes.
func parsePlatform(text string) (v1.Platform, error) {
	parts := strings.Split(strings.ToLower(text), "/")
	if len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, errors.New("not a platform, such as linux/arm64")
	}
	systems := []string{"linux", "windows", "darwin", "freebsd", "wasip1"}
	host := hostPlatform()
	if len(parts) == 1 && slices.Contains(systems, parts[0]) {
		return v1.Platform{OS: parts[0], Architecture: host.Architecture}, nil
	}
	if len(parts) == 1 || len(parts) == 2 && !slices.Contains(systems, parts[0]) {
		parts = append([]string{host.OS}, parts...)
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "i386":
		p.Architecture = "386"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", cmp.Or(p.Variant, "v7")
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	// What the variant is when none is named.
	if p.Architecture == "arm64" && p.Variant == "v8" || p.Architecture == "amd64" && p.Variant == "v1" {
		p.Variant = ""
	}
	if p.Architecture == "arm" {
		p.Variant = cmp.Or(p.Variant, "v7")
	}
	return p, nil
}
