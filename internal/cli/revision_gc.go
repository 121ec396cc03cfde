package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// gcKeep is how many revisions gc leaves that nothing holds.
const gcKeep = 5

type revisionGCOptions struct {
	Service     string
	Keep        int
	YoungerThan time.Duration
	DryRun      bool
	Yes         bool
	Images      bool
}

func newRevisionGCCmd(f *Factory, runF func(context.Context, *revisionGCOptions) error) *cobra.Command {
	o := &revisionGCOptions{}
	youngerThan := ""
	cmd := &cobra.Command{
		Use:   "gc [SERVICE]",
		Short: "Delete old revisions that nothing needs",
		Long: `Delete the revisions of a service that nothing needs. What stays in any case: a
revision that gets traffic or has a tag, the latest one and the latest ready one,
what ` + "`traffic undo`" + ` or a deploy under way could go back to, and what is annotated
with serving.knative.dev/no-gc. Of the others the newest --keep stay, and those
younger than --younger-than.

Each revision is looked at once more before it is deleted. On a terminal it asks
first, unless --yes is given. Images stay in their registry unless --images is
given; even then one that another revision or service uses stays.`,
		Example: `  kn-lite revision gc --dry-run
  kn-lite revision gc hello --keep 3 --younger-than 7d
  kn-lite revision gc hello --keep 0 --images --yes`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			if o.Keep < 0 {
				return fault.Usagef("--keep %d: must not be negative", o.Keep)
			}
			if cmd.Flags().Changed("younger-than") {
				var err error
				if o.YoungerThan, err = parseAge("--younger-than", youngerThan); err != nil {
					return err
				}
			}
			return runner(f, runF, runRevisionGC)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	flags := cmd.Flags()
	flags.IntVar(&o.Keep, "keep", gcKeep, "leave the newest `N` of those that nothing needs")
	flags.StringVar(&youngerThan, "younger-than", "", "leave those younger than this `AGE`, e.g. 12h or 7d")
	flags.BoolVar(&o.DryRun, "dry-run", false, "show what would be deleted and delete nothing")
	flags.BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&o.Images, "images", false, "delete their images from the registry, too, unless something else uses them")
	completeServiceFlag(f, cmd)
	return cmd
}

// parseAge reads a duration that may be given in days, as ages are shown.
func parseAge(flag, text string) (time.Duration, error) {
	age, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		age = time.Duration(n) * 24 * time.Hour
		if n > int(time.Duration(1<<63-1)/(24*time.Hour)) {
			age = -1
		}
	}
	if err != nil || age <= 0 {
		return 0, fault.Usagef("%s %s: not an age", flag, text).WithHint("e.g. 90m, 12h or 7d")
	}
	return age, nil
}

func runRevisionGC(ctx context.Context, f *Factory, o *revisionGCOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, deleteTimeout)
	defer cancel()
	r := app.CollectRequest{Target: target, Keep: o.Keep, YoungerThan: o.YoungerThan, DryRun: o.DryRun, Images: o.Images}
	if !o.DryRun {
		r.Confirm = confirmRevisions(ctx, f, o.Yes)
	}
	result, err := f.App().CollectRevisions(ctx, r)
	if result != nil {
		for _, v := range result.Left {
			f.IO.Debug("%s stays: it %s", v.Name, useText(v.Reasons))
		}
		switch {
		case len(result.Deleted) == 0 && err == nil:
			f.IO.Note("nothing to delete: all %s of %s are in use or stay by --keep and --younger-than", plural(len(result.Left), "revision"), result.Service)
		case o.DryRun:
			f.IO.Note("dry run: nothing was deleted; %s would go, %s would stay", plural(len(result.Deleted), "revision"), plural(len(result.Left), "revision"))
			for _, image := range result.Images {
				f.IO.Note("the image %s would go, too", image)
			}
		}
	}
	return printDeleted(f, result, o.DryRun, err)
}
