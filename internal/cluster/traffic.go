package cluster

import (
	"context"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Traffic gives access to the splits of the namespace's services.
func (c *Client) Traffic() traffic.Store { return splits{c} }

// splits is the Client in the words of package traffic.
type splits struct{ client *Client }

var _ traffic.Store = splits{}

func (s splits) Snapshot(ctx context.Context, service string) (*traffic.Snapshot, error) {
	svc, err := s.client.GetService(ctx, service)
	if err != nil {
		return nil, err
	}
	return knative.Snapshot(svc), nil
}

func (s splits) Revisions(ctx context.Context, service string) ([]traffic.Revision, error) {
	list, err := s.client.ListRevisions(ctx, service)
	if err != nil {
		return nil, err
	}
	return knative.Revisions(list), nil
}

func (s splits) Update(ctx context.Context, snap *traffic.Snapshot, change traffic.Change) (*traffic.Snapshot, error) {
	origin, ok := snap.Origin.(*servingv1.Service)
	if !ok {
		return nil, fault.New(fault.Failure, "cluster.update", "service/"+snap.Name, "the snapshot was not read from a cluster")
	}
	written, err := s.client.UpdateService(ctx, knative.Apply(origin, change), false)
	if err != nil {
		return nil, err
	}
	// The split is written; who owns it in managedFields is not worth a failure.
	_ = s.client.DisownService(ctx, written.Name)
	return knative.Snapshot(written), nil
}

func (s splits) Unreachable() error { return s.client.Unreachable() }

func (s splits) WatchService(ctx context.Context, service string, visit func(*traffic.Snapshot) (bool, error)) error {
	return s.client.WatchService(ctx, service, func(svc *servingv1.Service) error {
		if svc == nil {
			return fault.New(fault.NotFound, "cluster.watch", "service/"+service, "it was deleted meanwhile")
		}
		done, err := visit(knative.Snapshot(svc))
		if err == nil && done {
			return ErrStop
		}
		return err
	})
}
