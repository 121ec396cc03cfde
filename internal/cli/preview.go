package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/preview"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

func newPreviewCmd(f *Factory) *cobra.Command {
	return newGroupCmd("preview", "Previews of pull requests, each at a URL of its own", groupTraffic,
		newPreviewCreateCmd(f, nil),
		newPreviewListCmd(f, nil),
		newPreviewGCCmd(f, nil),
	)
}

// previewInfo is a preview in JSON.
type previewInfo struct {
	PR       int        `json:"pr"`
	Tag      string     `json:"tag"`
	URL      string     `json:"url,omitempty"`
	Revision string     `json:"revision,omitempty"`
	Created  *time.Time `json:"created,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"` // none: it never ends by itself
	Expired  bool       `json:"expired"`
}

func previewInfos(all []preview.Preview, latest string, now time.Time) []previewInfo {
	out := make([]previewInfo, len(all))
	for i, p := range all {
		out[i] = previewInfo{PR: p.Number, Tag: p.Tag, URL: p.Target.URL, Revision: p.Target.Pin(latest), Expired: p.Expired(now)}
		if !p.Expires.IsZero() {
			out[i].Created, out[i].Expires = &p.Created, &p.Expires
		}
	}
	return out
}

type previewListOptions struct {
	Service string
}

func newPreviewListCmd(f *Factory, runF func(context.Context, *previewListOptions) error) *cobra.Command {
	o := &previewListOptions{}
	cmd := &cobra.Command{
		Use:     "list [SERVICE]",
		Aliases: []string{"ls"},
		Short:   "List the previews of a service",
		Long: `List the previews of a service: every tag pr-N, with its URL, its revision and the
end of its time. One that was tagged without preview create has no end.`,
		Example: `  kn-lite preview list
  kn-lite preview list hello -o jsonpath='{.items[*].url}'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runPreviewList)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	completeServiceFlag(f, cmd)
	return cmd
}

func runPreviewList(ctx context.Context, f *Factory, o *previewListOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	found, err := f.App().ListPreviews(ctx, target)
	if err != nil {
		return err
	}
	now := f.Sys.Now()
	items := previewInfos(found.All, found.LatestReady, now)
	names := make([]string, len(items))
	for i, p := range items {
		names[i] = p.Tag
	}
	return f.print(answer{
		Object: map[string]any{"apiVersion": apiVersion, "kind": "PreviewList", "service": found.Name, "namespace": found.Namespace, "items": items},
		Names:  names,
		Table: func() error {
			if len(items) == 0 {
				f.IO.Note("%s has no previews", found.Name)
				return nil
			}
			return table(f.IO, []string{"PR", "REVISION", "EXPIRES", "URL"}, func(t *term.Table) {
				for _, p := range items {
					t.Row(strconv.Itoa(p.PR), dash(p.Revision), expiry(p, now), dash(p.URL))
				}
			})()
		},
	})
}

// expiry is the end of a preview for people.
func expiry(p previewInfo, now time.Time) string {
	switch {
	case p.Expires == nil:
		return "never"
	case p.Expired:
		return "expired"
	}
	return "in " + ageOf(now, *p.Expires)
}

type previewGCOptions struct {
	Service   string
	Numbers   []int
	DryRun    bool
	Revisions bool
}

func newPreviewGCCmd(f *Factory, runF func(context.Context, *previewGCOptions) error) *cobra.Command {
	o := &previewGCOptions{}
	cmd := &cobra.Command{
		Use:   "gc [SERVICE]",
		Short: "Remove previews whose time is over, and those of closed pull requests",
		Long: `Remove the previews of a service whose time is over, and those that --pr names: their
tags and URLs. The traffic stays as it is. A number that has no preview is no error.
Their revisions stay until Knative or revision gc removes them, or go at once with
--revisions where nothing else uses them.`,
		Example: `  kn-lite preview gc
  kn-lite preview gc hello --pr 7 --pr 8 --revisions
  kn-lite preview gc hello --dry-run`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			for _, n := range o.Numbers {
				if n < 1 {
					return fault.Usagef("--pr %d: use the number of a pull request", n)
				}
			}
			return runner(f, runF, runPreviewGC)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	flags := cmd.Flags()
	flags.IntSliceVar(&o.Numbers, "pr", nil, "remove the preview of this pull request, too, by its `NUMBER` (repeatable)")
	flags.BoolVar(&o.DryRun, "dry-run", false, "show what would be removed and remove nothing")
	flags.BoolVar(&o.Revisions, "revisions", false, "delete their revisions, too, where nothing else uses them")
	completeServiceFlag(f, cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("pr", completePreviews(f))
	return cmd
}

// completePreviews offers the numbers of the service's previews.
func completePreviews(f *Factory) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return fromSnapshot(f, cmd, args, func(snap *traffic.Snapshot) ([]string, error) {
			var out []string
			for _, p := range preview.List(snap) {
				out = append(out, cobra.CompletionWithDesc(strconv.Itoa(p.Number), p.Target.Pin(snap.LatestReady)))
			}
			return out, nil
		})
	}
}

func runPreviewGC(ctx context.Context, f *Factory, o *previewGCOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, routeTimeout)
	defer cancel()
	done, err := f.App().CollectPreviews(ctx, app.CollectPreviewsRequest{Target: target, Numbers: o.Numbers, DryRun: o.DryRun, Revisions: o.Revisions})
	if err != nil {
		return err
	}
	for _, n := range done.Unknown {
		f.IO.Note("%s has no preview of pull request %d", done.Service, n)
	}
	switch {
	case len(done.Gone) == 0:
		f.IO.Note("there is no preview of %s to remove", done.Service)
	case o.DryRun:
		f.IO.Note("dry run: nothing was removed")
	}
	items := previewInfos(done.Gone, "", f.Sys.Now())
	names := make([]string, len(items))
	for i, p := range items {
		names[i] = p.Tag
	}
	return f.print(answer{
		Object: map[string]any{
			"apiVersion": apiVersion, "kind": "RemovedPreviews", "service": done.Service, "namespace": done.Namespace, "dryRun": o.DryRun,
			"items": items, "revisions": append([]string{}, done.Revisions...),
		},
		Names: names,
		Table: func() error {
			for _, p := range items {
				if err := f.IO.Answer("%s", p.Tag); err != nil {
					return err
				}
			}
			if len(done.Revisions) > 0 {
				f.IO.Step("deleted %s", strings.Join(done.Revisions, ", "))
			}
			return nil
		},
	})
}
