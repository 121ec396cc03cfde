package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/revision"
)

func newRevisionCmd(f *Factory) *cobra.Command {
	cmd := newGroupCmd("revision", "Show and tidy up the revisions of a service", groupDayTwo,
		newRevisionListCmd(f, nil),
		newRevisionDescribeCmd(f, nil),
		newRevisionDeleteCmd(f, nil),
		newRevisionGCCmd(f, nil),
	)
	cmd.Aliases = []string{"revisions"}
	return cmd
}

// useInfo is one use of a revision in JSON.
type useInfo struct {
	Use  string `json:"use"` // routed, tagged, latest-ready, latest-created, deploying, rolling-out, preserved, undo, newest, young
	Text string `json:"text"`
}

func useInfos(reasons []revision.Reason) []useInfo {
	out := make([]useInfo, len(reasons))
	for i, r := range reasons {
		out[i] = useInfo{string(r.Code), r.Text}
	}
	return out
}

func useText(reasons []revision.Reason) string {
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = r.Text
	}
	return strings.Join(texts, ", ")
}

// revisionTarget is target for commands whose arguments may say which service is
// meant: its name is "" where neither a flag nor the folder says it.
func revisionTarget(f *Factory, named string) (app.Target, error) {
	if named != "" {
		return f.target(named)
	}
	project, err := app.FindProject(".")
	if err != nil {
		return app.Target{}, err
	}
	namespace, err := f.namespace(project)
	if err != nil || project == nil {
		return app.Target{Namespace: namespace}, err
	}
	return app.Target{Namespace: namespace, Service: project.Name}, function.CheckName(project.Name)
}

// completeRevisions offers the revisions of the service of --service or the folder;
// without either, those of the whole namespace.
func completeRevisions(f *Factory, most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, directive := fromCluster(f, cmd, func(ctx context.Context, client *cluster.Client) ([]string, error) {
			service, err := completionService(f, cmd, nil)
			if err != nil {
				service = ""
			}
			revisions, err := client.Traffic().Revisions(ctx, service)
			var out []string
			for _, r := range revisions {
				name := r.Name
				if service != "" {
					name = shortRevision(service, name)
				}
				out = append(out, cobra.CompletionWithDesc(name, readiness(r.State, r.Reason)))
			}
			return out, err
		})
		return slices.DeleteFunc(found, func(line string) bool {
			name, _, _ := strings.Cut(line, "\t")
			return slices.Contains(args, name)
		}), directive
	}
}

// shortImage is an image for a table: its name, and the first digits of its digest.
func shortImage(image string) string {
	const digits = 12
	ref, err := registry.Parse(image)
	if err != nil || ref.Digest == "" {
		return image
	}
	hex := strings.TrimPrefix(ref.Digest, "sha256:")
	return ref.Repository[strings.LastIndex(ref.Repository, "/")+1:] + "@" + hex[:min(digits, len(hex))]
}
