package builder

import (
	"context"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// Request is a build as every builder understands it. Dir, Environ and CacheDir
// have no defaults.
type Request struct {
	Dir     string             // the folder with the sources
	Project *function.Function // its func.yaml; nil where there is none

	// Tag is where the image is going to be pushed to: REGISTRY/NAME:TAG. "" keeps
	// the image on this machine, and no earlier build is looked for elsewhere.
	Tag string

	Namespace string // of the function in the cluster; "" is the kubeconfig context's own

	Platforms  []v1.Platform     // none: linux/amd64; several make an index
	BaseImage  string            // of all languages; "" takes BaseImages
	BaseImages map[string]string // by language; "" or none is the language's own
	Labels     map[string]string // OCI labels of the image, beside kn-lite's own
	Epoch      time.Time         // every time stamp in the image; the zero value is 1970
	NoCache    bool              // run everything, even when nothing has changed

	AllowMissingCommand bool // accept an image that does not hold the command that starts it
	AllowMissingLock    bool // accept a project without a lock file, in CI too

	Dockerfile DockerfileOptions
	Pod        PodOptions

	Environ   []string        // this machine's variables, as KEY=value, without secrets
	BuildEnv  []string        // what func.yaml gives to the build, as KEY=value
	CacheDir  string          // for what earlier builds have left
	Documents build.Documents // what is to be attached to the image
	Signing   Signing         // nil: nothing is signed and everything is trusted

	Progress progress.Reporter // nil reports nothing
}

// Reporter returns where r's progress goes, never nil.
func (r *Request) Reporter() progress.Reporter {
	if r.Progress == nil {
		return progress.Nop()
	}
	return r.Progress
}

// Signer returns what signs an image of which it is not claimed what it was built
// from; nil where nothing is signed.
func (r *Request) Signer() registry.Signer {
	if r.Signing == nil {
		return nil
	}
	return r.Signing.Signer("")
}

// DockerfileOptions are for builders that read a Dockerfile.
type DockerfileOptions struct {
	File       string            // "" is Dockerfile in Request.Dir
	Target     string            // stage to build; "" is the last one
	Args       map[string]string // values of ARG
	Secrets    map[string][]byte // by id, for RUN --mount=type=secret
	Offline    bool              // RUN has no network
	Repository string            // keeps the layers of steps for other machines; "" is nowhere
}

// PodOptions are for builders that run as a pod of the cluster.
type PodOptions struct {
	Image     string            // what the pod runs; "" takes Images
	Images    map[string]string // by the builder's name; "" or none is the builder's own
	Namespace string            // "" is the one of the function
	Resources map[string]string // requests and limits by name: cpu, memory, ephemeral-storage
}

// Signing signs images and knows whose signature counts. It holds the keys: a
// builder sees none of them.
type Signing interface {
	// Signer returns what signs an image that was built from inputs, a digest
	// ("" makes no claim about them); nil where nothing is signed.
	Signer(inputs string) registry.Signer
	// Restricts reports whether the image of somebody else needs a signature
	// before it is used.
	Restricts() bool
	// Check returns an error unless somebody who is trusted has signed that the image
	// digest in the repository of tag was built from inputs. It returns nil where
	// Restricts is false.
	Check(ctx context.Context, client *registry.Client, tag string, digest v1.Hash, inputs string) error
}

// Host is what builders use of the machine and of the user's settings. Nothing is
// opened before it is needed.
type Host struct {
	Registry func() (*registry.Client, error)
	Cluster  func(namespace string) (*cluster.Client, error) // "" is the kubeconfig context's own
	// Push pushes artifact to tag with what is attached to it, reports its progress,
	// and returns the reference by digest.
	Push    func(ctx context.Context, artifact registry.Artifact, tag string, with registry.Attached) (string, error)
	Now     func() time.Time
	Version string // of kn-lite, for documents; "" or (devel) is a build of no release
}

// Since returns the time since started, for people.
func (h *Host) Since(started time.Time) string { return progress.Duration(h.Now().Sub(started)) }

// Release returns kn-lite's version as the tags of its images have it, and whether
// it is a release at all.
func (h *Host) Release() (string, bool) {
	v := h.Version
	return strings.TrimPrefix(v, "v"), v != "" && v != "(devel)" && !strings.ContainsAny(v, "+-")
}
