package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/settings"
)

type pushOptions struct {
	Source string // DIR, oci:LAYOUT or tar:FILE
	Image  string
	Attest attestFlags
}

type pushAnswer struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Image      string `json:"image"` // REGISTRY/NAME@sha256:…
	Tag        string `json:"tag"`   // REGISTRY/NAME:TAG
}

func newPushCmd(f *Factory) *cobra.Command {
	o := &pushOptions{}
	cmd := &cobra.Command{
		Use:     "push [DIR | oci:LAYOUT | tar:FILE]",
		Short:   "Push a built image to its registry",
		GroupID: groupStart,
		Long: `Push writes an image that has been built to a registry: its layers first, then
the manifests by digest, and the tag last, so nobody ever finds a tag that is
not complete. What the registry has already is not sent again. The answer on
stdout is the image's reference by digest.

SBOM and provenance that build left beside the image go along.

Without an argument it is the image that ` + "`kn-lite build`" + ` left in this folder, on
this machine and in the last two weeks: what came with a clone is not pushed. An
image that goes from one machine to another is a layout or a file that is named.
Credentials are taken from --authfile, $KN_LITE_AUTHFILE, $REGISTRY_AUTH_FILE or
$DOCKER_CONFIG, the first of them that is set; else from where docker and podman
keep them.`,
		Example: `  # What build left here, to the image that func.yaml names
  kn-lite build && kn-lite push

  # An OCI layout, or a tarball as docker save writes it
  kn-lite push oci:./image --image registry.example/team/hello:v1
  kn-lite push tar:hello.tar --image registry.example/team/hello:v1

  # A registry with a certificate of its own authority
  kn-lite push oci:./image --image registry.corp/hello --registry-ca corp.pem`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Source = dirArg(args)
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runPush(ctx, f, o)
		},
	}
	cmd.Flags().StringVar(&o.Image, "image", "", "where to push to: `REGISTRY/NAME[:TAG]` (default: func.yaml's)")
	f.addAttestFlags(cmd, &o.Attest)
	f.addRegistryFlags(cmd)
	return cmd
}

func runPush(ctx context.Context, f *Factory, o *pushOptions) error {
	artifact, tag, attached, err := f.openArtifact(ctx, o.Source)
	if err != nil {
		return err
	}
	if o.Image != "" || tag == "" {
		project, err := f.projectIn(o.Source)
		if err != nil {
			return err
		}
		if tag, err = f.imageTag(o.Image, project); err != nil {
			return err
		}
	}
	if err := f.openSignKey(ctx, &o.Attest); err != nil {
		return err
	}
	if err := f.checkOrigin(o, artifact); err != nil {
		return err
	}
	ref, err := f.pushImage(ctx, artifact, tag, o.Attest.wantedOf(attached))
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: pushAnswer{APIVersion: apiVersion, Kind: "PushedImage", Image: ref, Tag: tag},
		Names:  []string{ref},
		Table:  func() error { return f.IO.Answer("%s", ref) },
	})
}

// checkOrigin keeps what came with a clone from being pushed, and signed: whoever
// says "what was built in this folder" means what this machine has built. A layout
// or a file that is named goes as it is.
func (f *Factory) checkOrigin(o *pushOptions, artifact registry.Artifact) error {
	digest, err := artifact.Digest()
	if err != nil {
		return err
	}
	cache := settings.CacheDir(f.Sys.Env)
	if isLayoutOrTar(o.Source) {
		if o.Attest.key != nil && !build.MadeHere(cache, digest) {
			f.IO.Note("signing %s as it is: this machine has not built it", digest)
		}
		return nil
	}
	if build.LeftHere(cache, o.Source) {
		return nil
	}
	return fault.New(fault.Conflict, "push.origin", o.Source, "the image that lies here, %s, was not built on this machine, or is no longer what was built", digest).
		WithHint("build it here: kn-lite build --push\nto carry an image from one machine to another: kn-lite build -o oci:OUT, and there kn-lite push oci:OUT")
}

// isLayoutOrTar reports whether source names an image and not a project's folder.
func isLayoutOrTar(source string) bool {
	return strings.HasPrefix(source, "oci:") || strings.HasPrefix(source, "tar:")
}

// openArtifact reads the image to push, what is attached to it, and the tag that it is
// meant for if it knows one.
func (f *Factory) openArtifact(ctx context.Context, source string) (artifact registry.Artifact, tag string, attached []attest.Artifact, err error) {
	if image.IsFile(source) {
		opened, err := image.OpenFile(source)
		if err != nil {
			return nil, "", nil, err
		}
		return opened.Top, "", opened.Attached, nil
	}
	client, err := f.Registry()
	if err != nil {
		return nil, "", nil, err
	}
	kept, tag, err := build.OpenKept(ctx, source, client.Pull)
	if err != nil {
		return nil, "", nil, err
	}
	return kept.Artifact(), tag, kept.Attached, nil
}

// projectIn is the func.yaml that belongs to what is pushed, or nil.
func (f *Factory) projectIn(source string) (*function.Function, error) {
	if isLayoutOrTar(source) {
		source = "."
	}
	project, err := function.Load(source)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return project, err
}
