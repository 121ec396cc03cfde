package cli

import (
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
)

func newImageCmd(f *Factory) *cobra.Command {
	cmd := newGroupCmd("image", "Look into images, compare them, and check who signed them", groupDayTwo,
		newImageInspectCmd(f, nil), newImageDiffCmd(f, nil), newImageVerifyCmd(f, nil), newImageKeygenCmd(f, nil))
	cmd.Long = `An image is named by its reference in a registry, by oci:DIR for an OCI layout, by
tar:FILE for what docker save or kn-lite build -o tar:FILE writes, or by the folder
of a function for what kn-lite build has left there. A folder comes before an
image of the same name on Docker Hub.`
	return cmd
}

// lookOptions say which images of an artifact are meant.
type lookOptions struct {
	Platform string
}

// add gives cmd the flags.
func (o *lookOptions) add(f *Factory, cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.Platform, "platform", "", "look at the image for this `OS/ARCH` only (default: all there are)")
	addRegistryFlags(f, cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64"}, cobra.ShellCompDirectiveNoFileComp))
	// Files and folders are half of what an image can be named by.
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"oci:", "tar:"}, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
	}
}

// request returns what the flags say about the image of that name.
func (o *lookOptions) request(name string) app.ImageRequest {
	return app.ImageRequest{Image: name, Platform: o.Platform}
}
