package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Traffic is a service's traffic with the states of its revisions.
type Traffic struct {
	*traffic.Snapshot
	Revisions []traffic.Revision
}

// ShowTraffic returns how the traffic of a service is split.
func (a *App) ShowTraffic(ctx context.Context, t Target) (*Traffic, error) {
	client, err := a.Cluster(t.Namespace)
	if err != nil {
		return nil, err
	}
	snap, known, err := knownTargets(ctx, client.Traffic(), t.Service)
	if err != nil {
		return nil, err
	}
	return &Traffic{Snapshot: snap, Revisions: known.Revisions}, nil
}

// snapshot returns a service as far as its traffic goes.
func (a *App) snapshot(ctx context.Context, t Target) (*traffic.Snapshot, error) {
	client, err := a.Cluster(t.Namespace)
	if err != nil {
		return nil, err
	}
	return client.Traffic().Snapshot(ctx, t.Service)
}

// TrafficHistory is a service's split and those that it had before.
type TrafficHistory struct {
	*traffic.Snapshot
	Past []traffic.Past // the oldest first
}

// TrafficHistory returns the former splits of a service.
func (a *App) TrafficHistory(ctx context.Context, t Target) (*TrafficHistory, error) {
	snap, err := a.snapshot(ctx, t)
	if err != nil {
		return nil, err
	}
	past, err := snap.Past()
	return &TrafficHistory{Snapshot: snap, Past: past}, err
}

// SplitRequest asks for another split.
type SplitRequest struct {
	Target
	Want traffic.Request

	DryRun       bool  // write nothing
	NoWait       bool  // do not wait until the cluster routes as asked
	IfGeneration int64 // when not 0: Conflict unless the service is at this generation
	// Verify asks for requests that show whether the split is what they meet, once the
	// cluster says so; nil: none are sent. It has no effect with DryRun and NoWait.
	Verify *VerifyRequest

	// Ingress is the HOST or HOST:PORT where the service is reached; "" is the setting
	// of that name, then what DNS and the cluster say.
	Ingress string
	// Preview is called with what is about to be written, also on a dry run; see
	// traffic.Options. An error stops the change. It may be nil.
	Preview func(traffic.Result) error
}

// SplitResult is what a change of a split has led to.
type SplitResult struct {
	Traffic               // as it is now; on a dry run as it would be asked for
	Before  traffic.Split // the spec that the change was made to
	Changed bool
	// Verified is what requests have met; nil when none were sent, or when nothing
	// tells which revision they met.
	Verified *Verified
}

// Split changes who gets how much of a service's traffic, and waits until the
// cluster routes so.
func (a *App) Split(ctx context.Context, r SplitRequest) (*SplitResult, error) {
	for _, t := range r.Want.Tag {
		if err := deploy.CheckNames(r.Service, "", t.Tag); err != nil {
			return nil, err
		}
	}
	if err := r.Verify.check(); err != nil {
		return nil, err
	}
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	store := client.Traffic()
	options := traffic.Options{DryRun: r.DryRun, IfGeneration: r.IfGeneration, Now: a.Now(), Preview: r.Preview}
	result, err := r.Want.Do(ctx, store, r.Service, options)
	if err != nil {
		return nil, err
	}
	out := splitResult(result, r.DryRun)
	if r.DryRun || r.NoWait {
		return out, nil
	}
	if out.Snapshot, err = a.awaitSplit(ctx, client, r, result); err != nil {
		return out, err
	}
	if r.Verify != nil {
		out.Verified, err = a.verify(ctx, client, out.Snapshot, r)
	}
	return out, err
}

// splitResult returns what a change of a split has led to, or would lead to on a dry run.
func splitResult(result traffic.Result, dryRun bool) *SplitResult {
	out := &SplitResult{
		Traffic: Traffic{Snapshot: result.Before, Revisions: result.Known.Revisions},
		Before:  result.Before.Spec.Normal(), Changed: len(result.Changes) > 0,
	}
	switch {
	case dryRun:
		asked := *result.Before
		asked.Spec = result.Next
		out.Snapshot = &asked
	case result.After != nil:
		out.Snapshot = result.After
	}
	return out
}

// awaitSplit waits until the cluster and its ingress route what a change has led to.
func (a *App) awaitSplit(ctx context.Context, client *cluster.Client, r SplitRequest, result traffic.Result) (*traffic.Snapshot, error) {
	written := cmp.Or(result.After, result.Before)
	routed, err := a.awaitRoute(ctx, client.Traffic(), written)
	if _, moved := errors.AsType[*traffic.MovedError](err); moved && r.Want.IsRelative() {
		// It is in what the others made of it: there is nothing left to wait for.
		a.report().Note(fmt.Sprintf("%s was changed by somebody else since", r.Service))
		return client.Traffic().Snapshot(ctx, r.Service)
	}
	if err != nil {
		return written, err
	}
	if result.After == nil {
		return routed, nil
	}
	return routed, a.awaitIngress(ctx, client, ingressWait{service: r.Service, address: r.Ingress, moved: true})
}

// WatchTraffic calls visit with a service's traffic as it is and after each change,
// until visit fails or ctx ends.
func (a *App) WatchTraffic(ctx context.Context, t Target, visit func(*Traffic) error) error {
	client, err := a.Cluster(t.Namespace)
	if err != nil {
		return err
	}
	store := client.Traffic()
	return store.WatchService(ctx, t.Service, func(snap *traffic.Snapshot) (bool, error) {
		revisions, err := store.Revisions(ctx, t.Service)
		if err != nil {
			return false, err
		}
		return false, visit(&Traffic{Snapshot: snap, Revisions: revisions})
	})
}

// awaitRoute waits until the cluster does what was written.
func (a *App) awaitRoute(ctx context.Context, store traffic.Store, written *traffic.Snapshot) (*traffic.Snapshot, error) {
	if written.Routes() {
		return written, nil
	}
	label := "waiting for the route of " + written.Name
	task := a.report().Start(label, 0)
	snap, err := traffic.Await(ctx, store, written, func(why string) { task.Update(label + ": " + why) })
	if err != nil {
		task.Fail()
		return nil, err
	}
	progress.End(task, fmt.Sprintf("%s routes %s", written.Name, snap.Spec.Normal()), nil)
	return snap, nil
}

// AwaitIngress waits until the ingress has what the cluster calls ready; see ingress.Wait.
func (a *App) AwaitIngress(ctx context.Context, client *cluster.Client, service string, hosts []string, moved bool) error {
	return a.awaitIngress(ctx, client, ingressWait{service: service, hosts: hosts, moved: moved})
}

// ingressWait is what awaitIngress waits for; see ingress.Wait.
type ingressWait struct {
	service string
	address string // HOST or HOST:PORT; "" is the setting
	hosts   []string
	moved   bool
}

// awaitIngress waits until the ingress has the route that the cluster calls ready.
func (a *App) awaitIngress(ctx context.Context, client *cluster.Client, w ingressWait) error {
	dialer, err := a.dialer(client, w.service, w.address)
	if err != nil {
		return err
	}
	wait := ingress.Wait{Service: w.service, Dialer: *dialer, Hosts: w.hosts, Moved: w.moved, Probed: w.moved && client.IngressIsProbed(ctx, w.service)}
	notes, err := wait.Do(ctx)
	for _, note := range notes {
		a.report().Note(note)
	}
	return err
}

// dialer connects to where service is served: at address, else at the setting
// "ingress", else wherever DNS or the cluster say.
func (a *App) dialer(client *cluster.Client, service, address string) (*ingress.Dialer, error) {
	if address == "" {
		settings, err := a.Settings()
		if err != nil {
			return nil, err
		}
		if address = settings.Ingress; address != "" {
			if address, err = ingress.ParseAddress(address); err != nil {
				return nil, fault.New(fault.Usage, "settings.ingress", "", "the setting ingress (KN_LITE_INGRESS) %w", err).WithHint("%s", fault.HintOf(err))
			}
		}
	}
	return &ingress.Dialer{
		Fixed: address, Lookup: net.DefaultResolver.LookupHost,
		Find: func(ctx context.Context, private bool) ([]string, error) {
			return client.IngressAddresses(ctx, service, private)
		},
	}, nil
}
