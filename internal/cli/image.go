package cli

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/term"
)

func newImageCmd(f *Factory) *cobra.Command {
	cmd := newGroupCmd("image", "Look into images, compare them, and check who signed them", groupDayTwo, newImageInspectCmd(f), newImageDiffCmd(f), newImageVerifyCmd(f), newImageKeygenCmd(f))
	cmd.Long = `An image is named by its reference in a registry, by oci:DIR for an OCI layout, by
tar:FILE for what docker save or kn-lite build -o tar:FILE writes, or by the folder
of a function for what kn-lite build has left there. A folder comes before an
image of the same name on Docker Hub.`
	return cmd
}

// lookOptions say which images of an artifact are meant and how to reach it.
type lookOptions struct {
	Platform string
}

// addLookFlags gives cmd the flags that openImages reads.
func addLookFlags(f *Factory, cmd *cobra.Command, o *lookOptions) {
	cmd.Flags().StringVar(&o.Platform, "platform", "", "look at the image for this `OS/ARCH` only (default: all there are)")
	addRegistryFlags(f, cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64"}, cobra.ShellCompDirectiveNoFileComp))
	// Files and folders are half of what an image can be named by.
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"oci:", "tar:"}, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
	}
}

// openImages finds the images that name means.
func openImages(ctx context.Context, f *Factory, name string, o *lookOptions) (*image.Images, error) {
	var only *v1.Platform
	if o.Platform != "" {
		p, err := build.ParsePlatform(o.Platform)
		if err != nil {
			return nil, err
		}
		only = &p
	}
	opener := image.Opener{Registry: f.Registry, Project: openProjectImage}
	return opener.Open(ctx, name, only)
}

// openProjectImage opens what the build of the project in dir has left there.
func openProjectImage(ctx context.Context, dir string, client *registry.Client) (*image.Artifact, error) {
	built, _, err := build.OpenLayout(ctx, dir, client.Pull)
	if err != nil {
		return nil, err
	}
	return &image.Artifact{Top: built.Artifact(), Attached: built.Attached}, nil
}

// readImages reads all layers of the images.
func readImages(ctx context.Context, streams *term.IO, found *image.Images, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error) {
	task := streams.Progress().Start("reading "+found.Name, 0)
	out, err := found.Read(ctx, known)
	if err != nil {
		task.Fail()
		return nil, err
	}
	task.Drop()
	return out, nil
}
