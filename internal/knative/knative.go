// Package knative translates between Knative's API objects and the words of
// package traffic, in one place: what is read from a cluster, from the embedded
// platform's store or from a file means the same everywhere. It talks to nobody.
package knative

import (
	"strconv"

	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Split reads a list of traffic targets. Objects that were written around the
// defaulting webhook have nil where it would put false and 0.
func Split(targets []servingv1.TrafficTarget) traffic.Split {
	out := make(traffic.Split, 0, len(targets))
	for _, t := range targets {
		target := traffic.Target{Revision: t.RevisionName, Tag: t.Tag, Latest: t.LatestRevision != nil && *t.LatestRevision}
		if t.Percent != nil {
			target.Percent = int(*t.Percent)
		}
		if t.URL != nil {
			target.URL = t.URL.String()
		}
		out = append(out, target)
	}
	return out
}

// Targets is Split the other way round, for a spec. Lines for the same place
// become one: Knative merges them in its status, and then waits for ever for
// status and spec to have the same length.
func Targets(split traffic.Split) []servingv1.TrafficTarget {
	split = split.Merge()
	out := make([]servingv1.TrafficTarget, 0, len(split))
	for _, t := range split {
		percent := int64(t.Percent)
		latest := t.Latest
		target := servingv1.TrafficTarget{Tag: t.Tag, Percent: &percent, LatestRevision: &latest}
		if !latest {
			target.RevisionName = t.Revision
		}
		out = append(out, target)
	}
	return out
}

// Spec returns the split that a service asks for.
func Spec(svc *servingv1.Service) traffic.Split { return Split(svc.Spec.Traffic).Normal() }

// Apply returns svc with a change of its split and annotations.
func Apply(svc *servingv1.Service, change traffic.Change) *servingv1.Service {
	out := svc.DeepCopy()
	if change.Split != nil {
		out.Spec.Traffic = Targets(change.Split)
	}
	out.Annotations = change.ApplyTo(out.Annotations)
	return out
}

// Snapshot returns a service as far as its traffic goes. Every pointer may be
// nil: objects can be written around the defaulting webhook.
func Snapshot(svc *servingv1.Service) *traffic.Snapshot {
	snap := &traffic.Snapshot{
		Namespace: svc.Namespace, Name: svc.Name,
		Version: svc.ResourceVersion, Generation: svc.Generation,
		Created:            svc.CreationTimestamp.Time,
		Origin:             svc,
		Spec:               Split(svc.Spec.Traffic),
		Annotations:        svc.Annotations,
		LatestReady:        svc.Status.LatestReadyRevisionName,
		LatestCreated:      svc.Status.LatestCreatedRevisionName,
		ObservedGeneration: svc.Status.ObservedGeneration,
		Observed:           Split(svc.Status.Traffic),
	}
	if svc.Status.URL != nil {
		snap.URL = svc.Status.URL.String()
	}
	snap.Routed, snap.RoutedReason, snap.RoutedMessage = Condition(svc.Status.Conditions, servingv1.ServiceConditionRoutesReady)
	snap.Ready, snap.Reason, snap.Message = Condition(svc.Status.Conditions, apis.ConditionReady)
	if svc.DeletionTimestamp != nil {
		snap.Ready, snap.Reason, snap.Message = traffic.NotReady, "Terminating", "it is being deleted"
	}
	return snap
}

// Revision returns a revision as far as traffic goes.
func Revision(rev *servingv1.Revision) traffic.Revision {
	out := traffic.Revision{Name: rev.Name, Created: rev.CreationTimestamp.Time, Commit: rev.Annotations[traffic.CommitKey], Image: image(rev)}
	// A foreign revision without the label counts as the oldest.
	out.Generation, _ = strconv.ParseInt(rev.Labels[serving.ConfigurationGenerationLabelKey], 10, 64)
	out.State, out.Reason, out.Message = Condition(rev.Status.Conditions, apis.ConditionReady)
	return out
}

// Revisions returns all of a list.
func Revisions(list []servingv1.Revision) []traffic.Revision {
	out := make([]traffic.Revision, len(list))
	for i := range list {
		out[i] = Revision(&list[i])
	}
	return out
}

// image returns the image of the container that gets the requests, preferably as
// the tag was resolved.
func image(rev *servingv1.Revision) string {
	container := UserContainer(rev.Spec.Containers)
	if container == nil {
		return ""
	}
	for _, status := range rev.Status.ContainerStatuses {
		if status.ImageDigest != "" && (status.Name == container.Name || len(rev.Spec.Containers) == 1) {
			return status.ImageDigest
		}
	}
	return container.Image
}

// Condition returns what a condition of an object says.
func Condition(all duckv1.Conditions, kind apis.ConditionType) (traffic.State, string, string) {
	for _, c := range all {
		if c.Type == kind {
			return traffic.State(c.Status), c.Reason, c.Message
		}
	}
	return traffic.Unknown, "", ""
}
