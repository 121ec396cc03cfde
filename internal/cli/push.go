package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
)

type pushOptions struct {
	Source string // DIR, oci:LAYOUT or tar:FILE
	Image  string
	Attest attestFlags
}

type pushAnswer struct {
	header
	*app.PushResult
}

func newPushCmd(f *Factory, runF func(context.Context, *pushOptions) error) *cobra.Command {
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
			return runner(f, runF, bounded(runPush))(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Image, "image", "", "where to push to: `REGISTRY/NAME[:TAG]` (default: func.yaml's)")
	o.Attest.add(cmd)
	addRegistryFlags(f, cmd)
	return cmd
}

func runPush(ctx context.Context, f *Factory, o *pushOptions) error {
	result, err := f.App().Push(ctx, app.PushRequest{
		Source: o.Source, Image: o.Image, Namespace: f.Flags.Namespace,
		NoSBOM: !o.Attest.SBOM, NoProvenance: !o.Attest.Provenance, SignKey: o.Attest.SignKey,
	})
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: pushAnswer{head("PushedImage"), result},
		Names:  []string{result.Image},
		Table:  func() error { return f.IO.Answer("%s", result.Image) },
	})
}
