package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// What -o name puts before names, so that kubectl takes them as they are.
const (
	serviceResource  = "service.serving.knative.dev/"
	revisionResource = "revision.serving.knative.dev/"
)

type listOptions struct {
	AllNamespaces bool
}

type serviceList struct {
	header
	Items []app.ServiceInfo `json:"items"`
}

func newListCmd(f *Factory, runF func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the services of a namespace",
		GroupID: groupDayTwo,
		Example: `  kn-lite list
  kn-lite list -A
  kn-lite list -o jsonpath='{.items[*].url}'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runner(f, runF, runList)(cmd.Context(), o) },
	}
	cmd.Flags().BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "list the services of all namespaces")
	return cmd
}

func runList(ctx context.Context, f *Factory, o *listOptions) error {
	namespace, err := f.namespaceHere()
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	found, err := f.App().List(ctx, app.ListRequest{Namespace: namespace, AllNamespaces: o.AllNamespaces})
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: listInfo(found.Services),
		Names:  serviceNames(found.Services),
		Table:  func() error { return listTable(f, found.Namespace, found.Services, o.AllNamespaces) },
	})
}

func listInfo(snaps []*traffic.Snapshot) serviceList {
	list := serviceList{header: head("ServiceList"), Items: make([]app.ServiceInfo, len(snaps))}
	for i, snap := range snaps {
		list.Items[i] = app.SummarizeService(snap)
	}
	return list
}

func serviceNames(snaps []*traffic.Snapshot) []string {
	out := make([]string, len(snaps))
	for i, snap := range snaps {
		out[i] = serviceResource + snap.Name
	}
	return out
}

func listTable(f *Factory, namespace string, snaps []*traffic.Snapshot, all bool) error {
	if len(snaps) == 0 {
		where := "namespace " + namespace
		if all {
			where = "any namespace"
		}
		f.IO.Note("there are no services in %s", where)
		return nil
	}
	header := []string{"NAME", "URL", "LATEST", "TRAFFIC", "AGE", "STATE"}
	if all {
		header = slices.Insert(header, 0, "NAMESPACE")
	}
	return table(f.IO, header, func(t *term.Table) {
		for _, snap := range snaps {
			row := []string{
				snap.Name, dash(snap.URL), dash(snap.LatestReady), dash(trafficSummary(snap)),
				ageOf(snap.Created, f.Sys.Now()), readiness(snap.Ready, snap.Reason),
			}
			if all {
				row = slices.Insert(row, 0, snap.Namespace)
			}
			t.Row(row...)
		}
	})()
}

// trafficSummary is the routed split in few words: "v1 50 %, v2 50 %".
func trafficSummary(snap *traffic.Snapshot) string {
	var parts []string
	for _, t := range snap.Observed {
		if t.Percent > 0 {
			parts = append(parts, shortRevision(snap.Name, t.Pin(snap.LatestReady))+" "+strconv.Itoa(t.Percent)+" %")
		}
	}
	return strings.Join(parts, ", ")
}
