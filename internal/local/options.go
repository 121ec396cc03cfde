package local

import (
	"time"

	"github.com/kn-lite/kn-lite/internal/registry"
)

// The usual ports.
const (
	DefaultPort    = 7080
	DefaultAPIPort = 7443
)

// What instances reach.
const (
	NetworkOpen = "open" // whatever this machine reaches, but for its own loopback
	NetworkNone = "none" // other functions
)

// Options say how Up works.
type Options struct {
	Place   Place
	Version string // of kn-lite
	Port    int    // of functions, registry and dashboard; 0 is any free one
	APIPort int    // 0 is any free one
	Network string // NetworkOpen or NetworkNone
	// Autoscaler are settings of Knative's autoscaler, under the names of config-autoscaler;
	// they are kept.
	Autoscaler map[string]string
	CacheDir   string // for unpacked images
	Temp       string // $TMPDIR
	Path       string // $PATH
	// Registry is how registries are reached that images are pulled from, besides the
	// platform's own.
	Registry registry.Options
	// Ready is called once the platform serves; its error ends Up.
	Ready func(*Info) error
	Warn  func(text string) // something that the user should know
	Debug func(text string)
	Now   func() time.Time // default time.Now
}
