package app

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/rollout"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// RolloutRequest asks for a rollout to a revision, or to go on with one.
type RolloutRequest struct {
	Target
	Revision string // as in a split; "": the rollout that is paused, else the newest ready revision
	Plan     rollout.Plan
	Given    func(field string) bool // see rollout.Request

	Signal     Signal // what the figures are read from
	Prometheus string // URL of a Prometheus server; "": none
	ProbePath  string // of requests that are sent for figures; "" is /
	Ingress    string // see SplitRequest

	Holder   string    // who runs it, for people
	Deadline time.Time // for the whole rollout; zero: none
}

// Rollout is a rollout of a service, as it is or was.
type Rollout struct {
	*rollout.State
	Snap *traffic.Snapshot
}

// StartRollout moves traffic to a revision step by step, and returns when the last step
// has passed. See rollout.Runner for what its errors mean; a rollout that has begun is
// returned beside them.
func (a *App) StartRollout(ctx context.Context, r RolloutRequest) (*Rollout, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	signals := &signals{App: a, client: client, request: r}
	runner := &rollout.Runner{
		Store: client.Traffic(), Choose: signals.choose, Restarts: restartCounts(client), Report: a.report(),
		Now: a.Now, Holder: r.Holder, Owner: rand.Text(), Deadline: r.Deadline,
	}
	state, err := runner.Run(ctx, rollout.Request{Service: r.Service, Target: r.Revision, Plan: r.Plan, Given: r.Given})
	if state == nil {
		return nil, err
	}
	out := &Rollout{State: state, Snap: &traffic.Snapshot{Name: r.Service, Namespace: client.Namespace()}}
	if snap, lost := client.Traffic().Snapshot(context.WithoutCancel(ctx), r.Service); lost == nil {
		out.Snap = snap
	}
	return out, err
}

// restartCounts reads how often the containers of a revision were restarted.
func restartCounts(client *cluster.Client) func(context.Context, string) (map[string]int, error) {
	return func(ctx context.Context, revision string) (map[string]int, error) {
		pods, err := client.ListPods(ctx, "serving.knative.dev/revision="+revision)
		if err != nil {
			return nil, err
		}
		counts := make(map[string]int)
		for i := range pods {
			for _, c := range pods[i].Status.ContainerStatuses {
				counts[pods[i].Name+"/"+c.Name] = int(c.RestartCount)
			}
		}
		return counts, nil
	}
}

// RolloutStatus returns the rollout that a service has, or had last. NotFound when
// there was none.
func (a *App) RolloutStatus(ctx context.Context, t Target) (*Rollout, error) {
	snap, err := a.snapshot(ctx, t)
	if err != nil {
		return nil, err
	}
	state, err := rollout.Find(snap)
	if err != nil {
		return nil, err
	}
	return &Rollout{State: state, Snap: snap}, nil
}

// EndRequest asks for the end of a rollout.
type EndRequest struct {
	Target
	By     string // who asks, for people
	NoWait bool   // do not wait until the cluster routes as asked
}

// EndedRollout is what PromoteRollout and AbortRollout have done.
type EndedRollout struct {
	Rollout
	Left string // why the split was left as it is; "": it was not
}

// PromoteRollout gives the candidate of a rollout the share of the last step at once.
func (a *App) PromoteRollout(ctx context.Context, r EndRequest) (*EndedRollout, error) {
	return a.endRollout(ctx, r, rollout.Promote)
}

// AbortRollout brings back the split before a rollout.
func (a *App) AbortRollout(ctx context.Context, r EndRequest) (*EndedRollout, error) {
	return a.endRollout(ctx, r, rollout.Abort)
}

func (a *App) endRollout(ctx context.Context, r EndRequest, end func(context.Context, traffic.Store, string, string, time.Time) (*rollout.Ended, error)) (*EndedRollout, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	store := client.Traffic()
	ended, err := end(ctx, store, r.Service, r.By, a.Now())
	if err != nil {
		return nil, err
	}
	out := &EndedRollout{Rollout: Rollout{State: ended.State, Snap: ended.Snap}, Left: ended.Left}
	if r.NoWait || ended.Left != "" {
		return out, nil
	}
	out.Snap, err = a.awaitRoute(ctx, store, ended.Snap)
	return out, err
}

// signalError says why a signal that was asked for is not to be had.
func signalError(signal Signal, format string, args ...any) *fault.Error {
	return fault.New(fault.NotFound, "rollout.signal", "signal "+string(signal), format, args...)
}
