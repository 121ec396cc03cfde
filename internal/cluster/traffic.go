package cluster

import (
	"context"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// CommitKey is the annotation of a revision that names the commit it was
// built from.
const CommitKey = "kn-lite.dev/commit"

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
	return SnapshotOf(svc), nil
}

func (s splits) Revisions(ctx context.Context, service string) ([]traffic.Revision, error) {
	list, err := s.client.ListRevisions(ctx, service)
	if err != nil {
		return nil, err
	}
	out := make([]traffic.Revision, len(list))
	for i := range list {
		out[i] = RevisionOf(&list[i])
	}
	return out, nil
}

func (s splits) WriteSplit(ctx context.Context, snap *traffic.Snapshot, next traffic.Split, history string) (*traffic.Snapshot, error) {
	origin, ok := snap.Origin.(*servingv1.Service)
	if !ok {
		return nil, fault.New(fault.Failure, "cluster.update", "service/"+snap.Name, "the snapshot was not read from a cluster")
	}
	svc := origin.DeepCopy()
	svc.Spec.Traffic = deploy.TargetsOf(next)
	if history != "" {
		svc.Annotations = maps.Clone(svc.Annotations)
		if svc.Annotations == nil {
			svc.Annotations = make(map[string]string, 1)
		}
		svc.Annotations[traffic.HistoryKey] = history
		deploy.TrimHistory(svc)
	}
	written, err := s.client.UpdateService(ctx, svc, false)
	if err != nil {
		return nil, err
	}
	// The split is written; who owns it in managedFields is not worth a failure.
	_ = s.client.DisownService(ctx, written.Name)
	return SnapshotOf(written), nil
}

func (s splits) WatchService(ctx context.Context, service string, visit func(*traffic.Snapshot) (bool, error)) error {
	return s.client.WatchService(ctx, service, func(svc *servingv1.Service) error {
		if svc == nil {
			return fault.New(fault.NotFound, "cluster.watch", "service/"+service, "it was deleted meanwhile")
		}
		done, err := visit(SnapshotOf(svc))
		if err == nil && done {
			return ErrStop
		}
		return err
	})
}

// SnapshotOf is a service as far as its traffic goes. Every pointer may be
// nil: objects can be written around the defaulting webhook.
func SnapshotOf(svc *servingv1.Service) *traffic.Snapshot {
	snap := &traffic.Snapshot{
		Namespace: svc.Namespace, Name: svc.Name,
		Version: svc.ResourceVersion, Generation: svc.Generation,
		Created:            svc.CreationTimestamp.Time,
		Origin:             svc,
		Spec:               deploy.SplitOf(svc.Spec.Traffic),
		History:            svc.Annotations[traffic.HistoryKey],
		LatestReady:        svc.Status.LatestReadyRevisionName,
		LatestCreated:      svc.Status.LatestCreatedRevisionName,
		ObservedGeneration: svc.Status.ObservedGeneration,
		Observed:           deploy.SplitOf(svc.Status.Traffic),
	}
	if svc.Status.URL != nil {
		snap.URL = svc.Status.URL.String()
	}
	snap.Routed, snap.RoutedReason, snap.RoutedMessage = condition(svc.Status.Conditions, servingv1.ServiceConditionRoutesReady)
	snap.Ready, snap.Reason, snap.Message = condition(svc.Status.Conditions, apis.ConditionReady)
	if svc.DeletionTimestamp != nil {
		snap.Ready, snap.Reason, snap.Message = traffic.NotReady, "Terminating", "it is being deleted"
	}
	return snap
}

// RevisionOf is a revision as far as traffic goes.
func RevisionOf(rev *servingv1.Revision) traffic.Revision {
	out := traffic.Revision{Name: rev.Name, Created: rev.CreationTimestamp.Time, Commit: rev.Annotations[CommitKey], Image: imageOf(rev)}
	// A foreign revision without the label counts as the oldest.
	out.Generation, _ = strconv.ParseInt(rev.Labels[serving.ConfigurationGenerationLabelKey], 10, 64)
	out.State, out.Reason, out.Message = condition(rev.Status.Conditions, apis.ConditionReady)
	return out
}

// imageOf prefers the image that the tag was resolved to.
func imageOf(rev *servingv1.Revision) string {
	for _, status := range rev.Status.ContainerStatuses {
		if status.ImageDigest != "" {
			return status.ImageDigest
		}
	}
	if container := userContainer(rev.Spec.Containers); container != nil {
		return container.Image
	}
	return ""
}

// userContainer is the container that takes the requests: the one with a
// port, or the only one.
func userContainer(containers []corev1.Container) *corev1.Container {
	for i := range containers {
		if len(containers[i].Ports) > 0 || len(containers) == 1 {
			return &containers[i]
		}
	}
	return nil
}

func condition(all duckv1.Conditions, kind apis.ConditionType) (traffic.State, string, string) {
	for _, c := range all {
		if c.Type == kind {
			return traffic.State(c.Status), c.Reason, c.Message
		}
	}
	return traffic.Unknown, "", ""
}
