package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

type pushOptions struct {
	Source string // DIR, oci:LAYOUT or tar:FILE
	Image  string
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
		Use:     "push [oci:LAYOUT | tar:FILE]",
		Short:   "Push a built image to its registry",
		GroupID: groupStart,
		Long: `Push writes an image that has been built to a registry: its layers first, then
the manifests by digest, and the tag last, so nobody ever finds a tag that is
not complete. What the registry has already is not sent again. The answer on
stdout is the image's reference by digest.`,
		Example: `  # An OCI layout, or a tarball as docker save writes it
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
	f.addRegistryFlags(cmd)
	return cmd
}

func runPush(ctx context.Context, f *Factory, o *pushOptions) error {
	artifact, err := openArtifact(o.Source)
	if err != nil {
		return err
	}
	project, err := f.projectHere()
	if err != nil {
		return err
	}
	tag, err := f.imageTag(o.Image, project)
	if err != nil {
		return err
	}
	ref, err := f.pushImage(ctx, artifact, tag)
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: pushAnswer{APIVersion: apiVersion, Kind: "PushedImage", Image: ref, Tag: tag},
		Names:  []string{ref},
		Table:  func() error { return f.IO.Answer("%s", ref) },
	})
}

// openArtifact reads the image to push.
func openArtifact(source string) (registry.Artifact, error) {
	form, path, found := strings.Cut(source, ":")
	switch {
	case found && form == "oci" && path != "":
		return registry.OpenLayout(path)
	case found && form == "tar" && path != "":
		return registry.OpenTar(path)
	}
	return nil, fault.Usagef("cannot push %q", source).WithHint("name an OCI layout as oci:DIR or an image tarball as tar:FILE")
}
