package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

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

func newDeleteCmd(f *Factory) *cobra.Command {
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
		ValidArgsFunction: f.completeServices(64),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Services = args
			if named != "" {
				o.Services = append(slices.Clone(args), named)
			}
			return runDelete(cmd.Context(), f, o)
		},
	}
	addServiceFlag(cmd, &named)
	flags := cmd.Flags()
	flags.BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&o.Wait, "wait", true, "wait until the pods are gone")
	f.completeServiceFlag(cmd)
	return cmd
}

func runDelete(ctx context.Context, f *Factory, o *deleteOptions) error {
	if len(o.Services) == 0 {
		if !f.IO.CanPrompt() && !o.Yes {
			return fault.Usagef("which service is to be deleted?").WithHint("name it, or give --yes to delete the one of ./%s", function.File)
		}
		service, err := f.serviceName("")
		if err != nil {
			return err
		}
		o.Services = []string{service}
	}
	slices.Sort(o.Services)
	o.Services = slices.Compact(o.Services)
	for _, service := range o.Services {
		if err := function.CheckName(service); err != nil {
			return err
		}
	}
	client, err := f.Cluster()
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, deleteTimeout)
	defer cancel()
	// All are looked at before the first is deleted: a typing error in the
	// third name must not cost the first two.
	for _, service := range o.Services {
		if _, err := client.GetService(ctx, service); err != nil {
			return err
		}
	}
	if f.IO.CanPrompt() && !o.Yes {
		sure, err := f.IO.Confirm("Delete %s with all revisions from namespace %s?", strings.Join(o.Services, ", "), client.Namespace())
		if err != nil {
			return err
		}
		if !sure {
			return fault.New(fault.Failure, "delete", "", "nothing was deleted")
		}
	}
	var failed []error
	for _, service := range o.Services {
		if err := f.deleteOne(ctx, service, o.Wait); err != nil {
			failed = append(failed, err)
			continue
		}
		if err := f.IO.Answer("%s%s", serviceResource, service); err != nil {
			return err
		}
	}
	return joinFaults(failed)
}

func (f *Factory) deleteOne(ctx context.Context, service string, wait bool) error {
	client, err := f.Cluster()
	if err != nil {
		return err
	}
	if err := client.DeleteService(ctx, service, wait); err != nil {
		return err
	}
	if !wait {
		f.IO.Step("deleting %s", service)
		return nil
	}
	task := f.IO.Start(0, "deleting %s", service)
	err = client.WaitGone(ctx, service, func(pods int) { task.Update("deleting %s: %s left", service, plural(pods, "pod")) })
	if err != nil {
		task.Fail()
		if ctx.Err() == nil {
			return err
		}
		return (&fault.Error{Op: "delete", Kind: fault.KindOf(err), Subject: "service/" + service, Err: err}).
			WithHint("the cluster goes on deleting it; `kn-lite describe %s` tells when it is gone", service)
	}
	task.Done("deleted %s", service)
	return nil
}

// joinFaults keeps a single error as it is, with its kind and hint; of several
// the first one's kind decides the exit code.
func joinFaults(all []error) error {
	if len(all) < 2 {
		return errors.Join(all...)
	}
	return &fault.Error{Op: "delete", Kind: fault.KindOf(all[0]), Err: errors.Join(all...), Hint: fault.HintOf(all[0])}
}
