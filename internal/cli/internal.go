package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/buildpod"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// newInternalCmd holds what kn-lite runs itself, elsewhere, and what its releases
// need. It is in no help and may change at any time.
func newInternalCmd(f *Factory) *cobra.Command {
	cmd := newGroupCmd("internal", "What kn-lite runs itself", "", newClusterBuildCmd(f), newBuilderImageCmd(f), newKanikoImageCmd(f))
	cmd.Hidden = true
	return cmd
}

type clusterBuildOptions struct {
	Work, Verdict, AuthFile string
}

func newClusterBuildCmd(f *Factory) *cobra.Command {
	o := &clusterBuildOptions{}
	cmd := &cobra.Command{
		Use:   "cluster-build",
		Short: "Build what comes in on stdin; the pod of --builder cluster",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runClusterBuild(cmd.Context(), f, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Work, "work", clusterbuild.WorkDir, "an empty `FOLDER`")
	flags.StringVar(&o.Verdict, "verdict", clusterbuild.VerdictFile, "`FILE` that the result is written to")
	flags.StringVar(&o.AuthFile, "authfile", clusterbuild.AuthFile, "credentials `FILE`, if there is one")
	return cmd
}

func runClusterBuild(ctx context.Context, f *Factory, o *clusterBuildOptions) error {
	pod := &buildpod.Pod{
		Work: o.Work, Verdict: o.Verdict, AuthFile: o.AuthFile, In: f.IO.In, Out: f.IO.Out,
		Environ: f.Sys.Vars, CacheDir: settings.CacheDir(f.Sys.Env), Now: f.Sys.Now, Version: currentVersion().Version,
	}
	return pod.Run(ctx)
}

// newBuilderImageCmd is for releases and for closed networks: it pushes the image
// that --builder cluster runs.
func newBuilderImageCmd(f *Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builder-image IMAGE [PROGRAM…]",
		Short: "Push an image of kn-lite for --builder-image, with one platform for each program",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBuilderImage(cmd.Context(), f, args[0], args[1:])
		},
	}
	addRegistryFlags(f, cmd)
	return cmd
}

// newKanikoImageCmd is for releases and for closed networks: it pushes the image
// that --builder kaniko runs.
func newKanikoImageCmd(f *Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kaniko-image IMAGE PROGRAM…",
		Short: "Push an image of kaniko's executor for --builder-image, with one platform for each program",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := f.App().PushKaniko(cmd.Context(), args[0], args[1:])
			if err != nil {
				return err
			}
			return printBuilderImage(f, ref)
		},
	}
	addRegistryFlags(f, cmd)
	return cmd
}

func runBuilderImage(ctx context.Context, f *Factory, tag string, programs []string) error {
	if len(programs) == 0 {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		programs = []string{self}
	}
	ref, err := f.App().PushProgram(ctx, tag, programs)
	if err != nil {
		return err
	}
	return printBuilderImage(f, ref)
}

func printBuilderImage(f *Factory, ref string) error {
	return f.print(answer{
		Object: map[string]string{"apiVersion": apiVersion, "kind": "BuilderImage", "image": ref},
		Names:  []string{ref},
		Table:  func() error { return f.IO.Answer("%s", ref) },
	})
}
