package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
)

type revisionDeleteOptions struct {
	Service string
	Refs    []string
	Yes     bool
	Images  bool
}

// revisionsDeleted is what `revision delete` and `revision gc` print as JSON.
type revisionsDeleted struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Service    string            `json:"service"`
	Namespace  string            `json:"namespace"`
	DryRun     bool              `json:"dryRun,omitempty"`
	Deleted    []deletedRevision `json:"deleted"` // with dryRun: would be
	Left       []leftRevision    `json:"left"`    // of gc: the others
	Images     []string          `json:"images"`  // deleted from their registry
}

type deletedRevision struct {
	Name  string `json:"name"`
	Image string `json:"image,omitempty"`
}

type leftRevision struct {
	Name string    `json:"name"`
	Uses []useInfo `json:"uses"`
}

func newRevisionDeleteCmd(f *Factory, runF func(context.Context, *revisionDeleteOptions) error) *cobra.Command {
	o := &revisionDeleteOptions{}
	cmd := &cobra.Command{
		Use:     "delete REVISION...",
		Aliases: []string{"rm"},
		Short:   "Delete revisions that are not in use",
		Long: `Delete revisions of a service by name. One that gets traffic, has a tag, is the
latest ready one or belongs to a deploy under way is refused, and then none is
deleted. ` + "`traffic undo`" + ` cannot go back to a revision that is gone.

On a terminal it asks first, unless --yes is given. Images stay in their registry
unless --images is given; even then one that another revision or service uses stays.`,
		Example: `  kn-lite revision delete v3
  kn-lite revision delete hello-v3 hello-v4 --yes
  kn-lite revision delete -s hello v3 --images`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeRevisions(f, 64),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Refs = args
			return runner(f, runF, runRevisionDelete)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	cmd.Flags().BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.Images, "images", false, "delete their images from the registry, too, unless something else uses them")
	completeServiceFlag(f, cmd)
	return cmd
}

func runRevisionDelete(ctx context.Context, f *Factory, o *revisionDeleteOptions) error {
	target, err := revisionTarget(f, o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, deleteTimeout)
	defer cancel()
	result, err := f.App().DeleteRevisions(ctx, app.DeleteRevisionsRequest{
		Target: target, Refs: o.Refs, Images: o.Images, Confirm: confirmRevisions(ctx, f, o.Yes),
	})
	return printDeleted(f, result, false, err)
}

// confirmRevisions asks before revisions are deleted, where there is somebody to ask.
func confirmRevisions(ctx context.Context, f *Factory, yes bool) func(string, []string) (bool, error) {
	if yes || !f.IO.CanPrompt() {
		return nil
	}
	return func(service string, names []string) (bool, error) {
		return f.IO.Confirm(ctx, "Delete %s of %s?", strings.Join(names, ", "), service)
	}
}

// printDeleted prints what was deleted, also where something went wrong with the rest.
func printDeleted(f *Factory, r *app.RevisionsDeleted, dryRun bool, err error) error {
	if r == nil || err != nil && len(r.Deleted) == 0 {
		return err
	}
	object := revisionsDeleted{
		APIVersion: apiVersion, Kind: "DeletedRevisions", Service: r.Service, Namespace: r.Namespace, DryRun: dryRun,
		Deleted: []deletedRevision{}, Left: []leftRevision{}, Images: append([]string{}, r.Images...),
	}
	var names []string
	for _, d := range r.Deleted {
		names = append(names, revisionResource+d.Name)
		object.Deleted = append(object.Deleted, deletedRevision{d.Name, d.Image})
	}
	for _, v := range r.Left {
		object.Left = append(object.Left, leftRevision{v.Name, useInfos(v.Reasons)})
	}
	printErr := f.print(answer{Object: object, Names: names, Table: func() error {
		for _, name := range names {
			if err := f.IO.Answer("%s", name); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	return printErr
}
