package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image"
)

type diffOptions struct {
	lookOptions
	A, B string
}

// diffAnswer is the difference of two images as -o json shows it.
type diffAnswer struct {
	header
	*image.Comparison
}

func newImageDiffCmd(f *Factory, runF func(context.Context, *diffOptions) error) *cobra.Command {
	o := &diffOptions{}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show in which files and settings two images differ",
		Long: `Diff compares two images as a container would see them: files by path, type,
mode, owner, size, content and time stamp, and the configuration. + is in B only, - in A
only, ~ in both and not the same. Each image is REF, oci:DIR, tar:FILE or DIR, the
folder of a function.

The exit code is 0 when they are the same, also when their layers are packed in
another way, and 1 when they differ; the first difference is named on stderr.`,
		Example: `  # What would change
  kn-lite build && kn-lite image diff registry.example/me/hello:latest .

  # In a script
  kn-lite image diff oci:before oci:after -q || echo changed`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.A, o.B = args[0], args[1]
			return runner(f, runF, bounded(runImageDiff))(cmd.Context(), o)
		},
	}
	o.add(f, cmd)
	return cmd
}

func runImageDiff(ctx context.Context, f *Factory, o *diffOptions) error {
	diff, err := f.App().DiffImages(ctx, o.request(o.A), o.request(o.B))
	if err != nil {
		return err
	}
	err = f.print(answer{
		Object: diffAnswer{head("ImageDiff"), diff},
		Names:  diff.Paths(),
		Table: func() error {
			for _, note := range diff.Notes() {
				f.IO.Note("%s", note)
			}
			return answerLines(f.IO, diff.Lines()...)
		},
	})
	if err == nil && !diff.Same {
		err = fault.New(fault.Failure, "image.diff", "", "the images differ, first in %s", diff.First)
	}
	return err
}
