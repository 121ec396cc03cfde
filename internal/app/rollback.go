package app

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/rollout"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// RollbackRequest asks for an earlier state of a service's traffic.
type RollbackRequest struct {
	Target
	Revision string // that gets all of it; "": the last good split
	By       string // who asks, for people

	DryRun bool // write nothing
	NoWait bool // do not wait until the cluster routes as asked
	// Preview is called with what is about to be written, also on a dry run; it may be nil.
	Preview func(traffic.Result) error
}

// Rollback goes back to an earlier split of a service; see rollout.Rollback.
func (a *App) Rollback(ctx context.Context, r RollbackRequest) (*SplitResult, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	store := client.Traffic()
	back := rollout.Rollback{Service: r.Service, To: r.Revision, By: r.By, Now: a.Now()}
	result, err := back.Run(ctx, store, traffic.Options{DryRun: r.DryRun, Now: a.Now(), Preview: r.Preview})
	if err != nil {
		return nil, err
	}
	out := splitResult(result, r.DryRun)
	if r.DryRun || r.NoWait {
		return out, nil
	}
	if out.Snapshot, err = a.awaitRoute(ctx, store, out.Snapshot); err != nil || result.After == nil {
		return out, err
	}
	return out, a.awaitIngress(ctx, client, ingressWait{service: r.Service, moved: true})
}
