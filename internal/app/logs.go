package app

import (
	"context"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// LogsRequest asks for what a service's pods have written.
type LogsRequest struct {
	Target
	Revision      string // a reference as in traffic splits; "" is every revision
	Container     string // "" is the one that gets the requests
	AllContainers bool
	Previous      bool // of the run before the last restart
	Follow        bool // go on until ctx ends
	Since         time.Duration
	Tail          int64 // the last lines of each pod; negative: all

	// Started is called before the first line; mixed says that lines of several
	// containers may follow. It may be nil.
	Started func(mixed bool)
	Emit    func(cluster.LogLine) error // one call at a time
}

// Logs hands on log lines and returns how many logs there were.
func (a *App) Logs(ctx context.Context, r LogsRequest) (logs int, err error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return 0, err
	}
	// Reading the service first tells a wrong name from one without pods.
	_, known, err := knownTargets(ctx, client.Traffic(), r.Service)
	if err != nil {
		return 0, err
	}
	options := cluster.LogOptions{
		Service: r.Service, Container: r.Container, AllContainers: r.AllContainers, Previous: r.Previous,
		Follow: r.Follow, Since: r.Since, Tail: r.Tail,
	}
	if r.Revision != "" {
		if options.Revision, err = oneRevision(known, r.Revision); err != nil {
			return 0, err
		}
	}
	mixed := r.Follow || r.AllContainers
	if !mixed {
		pods, err := client.ListPods(ctx, options.Selector())
		if err != nil {
			return 0, err
		}
		mixed = len(pods) > 1
	}
	if r.Started != nil {
		r.Started(mixed)
	}
	return client.Logs(ctx, options, r.Emit)
}

// knownTargets reads everything that a reference to a target can mean.
func knownTargets(ctx context.Context, store traffic.Store, service string) (*traffic.Snapshot, traffic.Known, error) {
	snap, err := store.Snapshot(ctx, service)
	if err != nil {
		return nil, traffic.Known{}, err
	}
	revisions, err := store.Revisions(ctx, service)
	if err != nil {
		return nil, traffic.Known{}, err
	}
	return snap, traffic.Known{Service: service, Revisions: revisions, LatestReady: snap.LatestReady, Split: snap.Spec.Normal()}, nil
}

// oneRevision returns the revision that a reference leads to now.
func oneRevision(known traffic.Known, ref string) (string, error) {
	resolved, err := traffic.Resolve(known, traffic.Edit{{Ref: ref, Percent: 100}})
	if err != nil {
		return "", err
	}
	name := resolved[0].Target.Pin(known.LatestReady)
	if name == traffic.Latest {
		return "", fault.New(fault.NotFound, "traffic.resolve", "service/"+known.Service, "no revision of it is ready yet")
	}
	return name, nil
}
