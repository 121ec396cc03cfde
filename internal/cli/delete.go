package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// deleteTimeout allows a pod its whole grace period, which is as long as
// Knative lets a request take: 300 s by default.
const deleteTimeout = 6 * time.Minute

type deleteOptions struct {
	Services []string
	Yes      bool
	Wait     bool
}

func newDeleteCmd(f *Factory, runF func(context.Context, *deleteOptions) error) *cobra.Command {
	o := &deleteOptions{}
	named := ""
	cmd := &cobra.Command{
		Use:     "delete [SERVICE...]",
		Aliases: []string{"rm"},
		Short:   "Delete services with all their revisions",
		GroupID: groupDayTwo,
		Long: `Delete services with all their revisions, and wait until their pods are gone.

On a terminal it asks first, unless --yes is given. Elsewhere, and with
--no-input, it does as it is told; then a service must be named, it is never
inferred from the folder. Images in the registry stay.`,
		Example: `  kn-lite delete hello
  kn-lite delete hello world --yes
  kn-lite delete hello --wait=false`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeServices(f, 64),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Services = args
			if named != "" {
				o.Services = append(slices.Clone(args), named)
			}
			return runner(f, runF, runDelete)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &named)
	flags := cmd.Flags()
	flags.BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&o.Wait, "wait", true, "wait until the pods are gone")
	completeServiceFlag(f, cmd)
	return cmd
}

func runDelete(ctx context.Context, f *Factory, o *deleteOptions) error {
	if len(o.Services) == 0 {
		if !f.IO.CanPrompt() && !o.Yes {
			return fault.Usagef("which service is to be deleted?").WithHint("name it, or give --yes to delete the one of ./%s", function.File)
		}
		target, err := f.target("")
		if err != nil {
			return err
		}
		o.Services = []string{target.Service}
	}
	namespace, err := f.namespaceHere()
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, deleteTimeout)
	defer cancel()
	request := app.DeleteRequest{Namespace: namespace, Services: o.Services, NoWait: !o.Wait}
	if f.IO.CanPrompt() && !o.Yes {
		request.Confirm = func(namespace string, services []string) (bool, error) {
			return f.IO.Confirm(ctx, "Delete %s with all revisions from namespace %s?", strings.Join(services, ", "), namespace)
		}
	}
	result, err := f.App().Delete(ctx, request)
	for _, service := range result.Deleted {
		if err := f.IO.Answer("%s%s", serviceResource, service); err != nil {
			return err
		}
	}
	return err
}
