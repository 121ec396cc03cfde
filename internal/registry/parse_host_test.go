package registry

import (
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParseHost(t *testing.T) {
	for text, want := range map[string]string{
		"ghcr.io": "ghcr.io", "https://ghcr.io/": "ghcr.io", "localhost:5000": "localhost:5000", "127.0.0.1:5000": "127.0.0.1:5000",
		"docker.io": "index.docker.io", "https://index.docker.io/v1/": "index.docker.io", "registry.example": "registry.example",
	} {
		if got, err := ParseHost(text); err != nil || got != want {
			t.Errorf("ParseHost(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "team", "ghcr.io/team", "https://", "ghcr.io:no", "GHCR IO"} {
		if got, err := ParseHost(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("ParseHost(%q) = %q, %v, want a usage error", text, got, err)
		}
	}
}
