package app

import (
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// checkCluster finds out, before anything is built, what a deploy would fail at in
// any case: no connection, no Knative, no namespace, no rights, and references to
// what does not exist. It returns what this user may not look at, so that a failure
// can be said to be explained without it.
func (a *App) checkCluster(ctx context.Context, client *cluster.Client, spec deploy.Spec, r *DeployRequest) ([]string, error) {
	write, err := writeVerb(ctx, client, spec.Service)
	if err != nil {
		return nil, err
	}
	needed := deployRights(write, !r.NoWait)
	if err := client.RequireRights(ctx, "deploy.preflight", "service/"+spec.Service, needed); err != nil {
		return nil, err
	}
	if !r.NoWait {
		if err := deploy.Preflight(ctx, client, spec, a.report().Warn); err != nil {
			return nil, err
		}
	}
	if r.NoWait || r.DryRun != DryRunNone {
		return nil, nil
	}
	var blind []string
	for _, right := range client.MissingRights(ctx, explainingRights()) {
		blind = append(blind, strings.TrimSuffix(strings.Replace(right.Resource, "pods/log", "logs", 1), ".apps"))
	}
	if len(blind) > 0 {
		a.report().Note("not permitted to look at " + strings.Join(blind, ", ") + ": if the revision does not become ready, the cause may stay unknown")
	}
	return blind, nil
}

const services = "services.serving.knative.dev"

// writeVerb returns what a deploy of a service has to be permitted: to create it or to
// update it. Where there is neither service nor namespace it is NotFound.
func writeVerb(ctx context.Context, client *cluster.Client, service string) (string, error) {
	svc, err := client.FindService(ctx, service)
	switch {
	case err != nil:
		return "", err
	case svc == nil:
		return "create", client.CheckNamespace(ctx)
	}
	return "update", nil
}

// checkPlan finds out what a deploy would fail at for want of objects, and whether the
// API server cannot be asked about the service because this user may not write it.
func (a *App) checkPlan(ctx context.Context, client *cluster.Client, spec deploy.Spec) (unchecked bool, err error) {
	write, err := writeVerb(ctx, client, spec.Service)
	if err != nil {
		return false, err
	}
	if err := deploy.Preflight(ctx, client, spec, a.report().Warn); err != nil {
		return false, err
	}
	missing := client.MissingRights(ctx, []cluster.Right{{Verb: write, Resource: services}})
	if len(missing) > 0 {
		a.report().Note("not permitted to " + write + " services: the API server is not asked whether it would take this one")
	}
	return len(missing) > 0, nil
}

// deployRights returns what a deploy has to be permitted that will create or update
// (write) its service.
func deployRights(write string, wait bool) []cluster.Right {
	const revisions = "revisions.serving.knative.dev"
	needed := []cluster.Right{{Verb: write, Resource: services}, {Verb: "get", Resource: revisions}, {Verb: "list", Resource: revisions}}
	if write == "create" && wait {
		needed = append(needed, cluster.Right{Verb: "update", Resource: services})
	}
	if wait {
		needed = append(needed, cluster.Right{Verb: "list", Resource: services})
	}
	return needed
}

// explainingRights returns what the cause of a failure is found with.
func explainingRights() []cluster.Right {
	return []cluster.Right{
		{Verb: "list", Resource: "pods"},
		{Verb: "get", Resource: "pods/log"},
		{Verb: "list", Resource: "events"},
		{Verb: "list", Resource: "deployments.apps"},
	}
}

// checkArchitecture warns of an image that no node can run. It is a warning
// only: not everyone may see the nodes, and there may be others tomorrow.
func (a *App) checkArchitecture(ctx context.Context, ref string, client *cluster.Client) {
	platforms, err := client.NodePlatforms(ctx)
	if err != nil || len(platforms) == 0 {
		return
	}
	images, err := a.Registry()
	if err != nil {
		return
	}
	if _, err := images.Head(ctx, ref); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			a.report().Warn(ref + " is not in its registry, as seen from here")
		}
		return
	}
	for _, p := range platforms {
		_, err := images.Pull(ctx, ref, v1.Platform{OS: p.OS, Architecture: p.Architecture})
		if err == nil || fault.KindOf(err) != fault.NotFound {
			return
		}
	}
	a.report().Warn(ref + " has no variant for the cluster's nodes (" + platforms[0].OS + "/" + platforms[0].Architecture + "); it will not start there")
}
