package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// completionDeadline is how long a shell may hang on the tab key. Past it, and
// on every error, nothing is offered and nothing is said.
const completionDeadline = 1500 * time.Millisecond

// fromCluster offers what ask finds in the cluster.
func fromCluster(f *Factory, cmd *cobra.Command, ask func(context.Context, *cluster.Client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	// cmd.Context is nil when cobra completes.
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionDeadline)
	defer cancel()
	client, err := f.Cluster()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, err := ask(ctx, client)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return visibleCompletions(found), cobra.ShellCompDirectiveNoFileComp
}

// fromSnapshot offers what list finds in the service of a command line.
func fromSnapshot(f *Factory, cmd *cobra.Command, args []string, list func(*traffic.Snapshot) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	return fromCluster(f, cmd, func(ctx context.Context, client *cluster.Client) ([]string, error) {
		service, err := completionService(f, cmd, args)
		if err != nil {
			return nil, err
		}
		snap, err := client.Traffic().Snapshot(ctx, service)
		if err != nil {
			return nil, err
		}
		return list(snap)
	})
}

// visibleCompletions keeps what the cluster says from being more than one candidate a
// line: the shell puts candidates on the command line.
func visibleCompletions(found []string) []string {
	out := make([]string, 0, len(found))
	for _, line := range found {
		name, description, described := strings.Cut(line, "\t")
		name = term.Visible(name)
		if described {
			name = cobra.CompletionWithDesc(name, term.Visible(description))
		}
		out = append(out, name)
	}
	return out
}

// completeServices offers services for up to most positional arguments, each once.
func completeServices(f *Factory, most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, directive := fromCluster(f, cmd, serviceCompletions)
		return slices.DeleteFunc(found, func(line string) bool {
			name, _, _ := strings.Cut(line, "\t")
			return slices.Contains(args, name)
		}), directive
	}
}

func serviceCompletions(ctx context.Context, client *cluster.Client) ([]string, error) {
	list, err := client.ListServices(ctx, false)
	out := make([]string, 0, len(list))
	for i := range list {
		snap := knative.Snapshot(&list[i])
		out = append(out, cobra.CompletionWithDesc(snap.Name, trafficSummary(snap)))
	}
	return out, err
}

// listNames lists what a service has, for completion.
type listNames func(ctx context.Context, store traffic.Store, service string) ([]string, error)

// fromService offers what list finds of the service that the command line is about;
// with orServices the services, as long as it is about none and has no argument.
func fromService(f *Factory, cmd *cobra.Command, args []string, orServices bool, list listNames) ([]string, cobra.ShellCompDirective) {
	return fromCluster(f, cmd, func(ctx context.Context, client *cluster.Client) ([]string, error) {
		service, err := completionService(f, cmd, args)
		if err != nil && orServices && len(args) == 0 {
			return serviceCompletions(ctx, client)
		}
		if err != nil {
			return nil, err
		}
		return list(ctx, client.Traffic(), service)
	})
}

// completeFlag offers for a flag what list finds of the command's service.
func completeFlag(f *Factory, cmd *cobra.Command, flag string, list listNames) {
	// The flag is registered by the caller, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return fromService(f, cmd, args, false, list)
	})
}

// completeServiceFlag offers services for --service.
func completeServiceFlag(f *Factory, cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("service", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return fromCluster(f, cmd, serviceCompletions)
	})
}

// completeRevisionFlag offers the revisions of the command's service for --revision.
func completeRevisionFlag(f *Factory, cmd *cobra.Command) {
	completeFlag(f, cmd, "revision", revisionNames)
}

// completeTagFlag offers the tags of the command's service for --tag.
func completeTagFlag(f *Factory, cmd *cobra.Command) { completeFlag(f, cmd, "tag", tagNames) }

func revisionNames(ctx context.Context, store traffic.Store, service string) ([]string, error) {
	revisions, err := store.Revisions(ctx, service)
	var out []string
	for _, r := range revisions {
		out = append(out, cobra.CompletionWithDesc(r.Name, readiness(r.State, r.Reason)))
	}
	return out, err
}

func tagNames(ctx context.Context, store traffic.Store, service string) ([]string, error) {
	snap, err := store.Snapshot(ctx, service)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range snap.Spec {
		if t.Tag != "" {
			out = append(out, cobra.CompletionWithDesc(t.Tag, t.Pin(snap.LatestReady)))
		}
	}
	return out, nil
}

// completionService is the service that a half-typed command line is about.
func completionService(f *Factory, cmd *cobra.Command, args []string) (string, error) {
	if flag := cmd.Flags().Lookup("service"); flag != nil && flag.Value.String() != "" {
		return flag.Value.String(), nil
	}
	if len(args) > 0 && !traffic.HasShare(args[0]) {
		return args[0], nil
	}
	return serviceName("")
}

// completeTargets offers what `traffic split` takes: targets with "=", and the
// services as long as none is known.
func completeTargets(f *Factory) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if traffic.HasShare(typed) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, directive := fromService(f, cmd, args, true, splitTargets)
		return found, directive | cobra.ShellCompDirectiveNoSpace
	}
}

// completeServiceAndRevision offers what revisionArgs takes.
func completeServiceAndRevision(f *Factory) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return bareTargets(f, cmd, args)
	}
}

// bareTargets offers targets without "=", and the services as long as none is known.
func bareTargets(f *Factory, cmd *cobra.Command, args []string) ([]string, cobra.ShellCompDirective) {
	found, directive := fromService(f, cmd, args, true, splitTargets)
	for i, line := range found {
		found[i] = strings.Replace(line, "=\t", "\t", 1)
	}
	return found, directive
}

// splitTargets lists the targets of a split, each with "=".
func splitTargets(ctx context.Context, store traffic.Store, service string) ([]string, error) {
	snap, err := store.Snapshot(ctx, service)
	if err != nil {
		return nil, err
	}
	revisions, err := store.Revisions(ctx, service)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range revisions {
		now := strconv.Itoa(snap.Spec.Normal().Percent(r.Name, snap.LatestReady))
		out = append(out, cobra.CompletionWithDesc(shortRevision(service, r.Name)+"=", "now "+now+" %, "+readiness(r.State, r.Reason)))
	}
	for _, t := range snap.Spec {
		if t.Tag != "" {
			out = append(out, cobra.CompletionWithDesc(t.Tag+"=", "tag, leads to "+t.Pin(snap.LatestReady)))
		}
	}
	return append(out, cobra.CompletionWithDesc(traffic.Latest+"=", "the newest ready revision")), nil
}

// completeGlobals offers namespaces and contexts for the global flags.
func completeGlobals(f *Factory, root *cobra.Command) {
	// Both flags are registered on root, so errors here cannot happen.
	_ = root.RegisterFlagCompletionFunc("namespace", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return fromCluster(f, cmd, func(ctx context.Context, client *cluster.Client) ([]string, error) {
			return client.NamespaceNames(ctx)
		})
	})
	_ = root.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names, err := cluster.ContextNames(cluster.Options{Kubeconfig: f.Flags.Kubeconfig, Env: f.Sys.Env})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// shortRevision is what a person types: v2 for hello-v2.
func shortRevision(service, revision string) string {
	return strings.TrimPrefix(revision, service+"-")
}
