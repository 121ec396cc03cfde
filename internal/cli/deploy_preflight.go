package cli

import (
	"context"
	"strings"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
)

// preflight finds out, before anything is built, what a deploy would fail at in
// any case: no connection, no Knative, no namespace, no rights, and references
// to what does not exist. It returns what this user may not look at, so that a
// failure can be said to be explained without it.
func (f *Factory) preflight(ctx context.Context, client *cluster.Client, spec deploy.Spec, o *deployOptions) ([]string, error) {
	svc, err := client.FindService(ctx, spec.Service)
	if err != nil {
		return nil, err
	}
	write := "update"
	if svc == nil {
		if err := client.CheckNamespace(ctx); err != nil {
			return nil, err
		}
		write = "create"
	}
	const services, revisions = "services.serving.knative.dev", "revisions.serving.knative.dev"
	needed := []cluster.Right{{Verb: write, Resource: services}, {Verb: "get", Resource: revisions}, {Verb: "list", Resource: revisions}}
	if write == "create" && !o.NoWait {
		needed = append(needed, cluster.Right{Verb: "update", Resource: services})
	}
	if !o.NoWait {
		needed = append(needed, cluster.Right{Verb: "list", Resource: services})
	}
	if err := client.RequireRights(ctx, "deploy.preflight", "service/"+spec.Service, needed); err != nil {
		return nil, err
	}
	if !o.NoWait {
		if err := deploy.Preflight(ctx, client, spec, func(text string) { f.IO.Warn("%s", text) }); err != nil {
			return nil, err
		}
	}
	if o.NoWait || o.DryRun != "" {
		return nil, nil
	}
	var blind []string
	for _, r := range client.MissingRights(ctx, []cluster.Right{
		{Verb: "list", Resource: "pods"},
		{Verb: "get", Resource: "pods/log"},
		{Verb: "list", Resource: "events"},
		{Verb: "list", Resource: "deployments.apps"},
	}) {
		blind = append(blind, strings.TrimSuffix(strings.Replace(r.Resource, "pods/log", "logs", 1), ".apps"))
	}
	if len(blind) > 0 {
		f.IO.Note("not permitted to look at %s: if the revision does not become ready, the cause may stay unknown", strings.Join(blind, ", "))
	}
	return blind, nil
}
