package control

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// When revisions that get no requests are deleted: Knative's defaults.
const (
	retainSinceCreate = 48 * time.Hour
	retainSinceActive = 15 * time.Hour
	minInactive       = 20
	maxInactive       = 1000
)

// collectRevisions deletes the revisions of a configuration that are of no use any
// longer.
func (c *Controller) collectRevisions(t task) (time.Duration, error) {
	config, ok := store.Get[*servingv1.Configuration](c.Store, t.namespace, t.name)
	if !ok || config.DeletionTimestamp != nil {
		return 0, nil
	}
	stale, after := staleRevisions(config, c.revisionsOf(config), c.Now())
	for _, rev := range stale {
		if err := c.remove(rev, metav1.Preconditions{UID: &rev.UID}); err != nil {
			return 0, err
		}
	}
	return after, nil
}

// staleRevisions returns the revisions of a configuration to delete, and when the next
// one may have to be, 0 for never. The newest inactive ones always stay.
func staleRevisions(config *servingv1.Configuration, all []*servingv1.Revision, now time.Time) (stale []*servingv1.Revision, after time.Duration) {
	inactive := slices.DeleteFunc(slices.Clone(all), func(rev *servingv1.Revision) bool { return inUse(config, rev) })
	if len(inactive) <= minInactive {
		return nil, 0
	}
	slices.SortStableFunc(inactive, func(a, b *servingv1.Revision) int { return lastActive(a).Compare(lastActive(b)) })
	var fresh []*servingv1.Revision
	for _, rev := range inactive {
		left := max(rev.CreationTimestamp.Add(retainSinceCreate).Sub(now), lastActive(rev).Add(retainSinceActive).Sub(now))
		switch {
		case len(stale) == len(inactive)-minInactive:
			return stale, 0
		case left <= 0:
			stale = append(stale, rev)
		default:
			fresh = append(fresh, rev)
			if after == 0 || left < after {
				after = left
			}
		}
	}
	if excess := len(fresh) - maxInactive; excess > 0 {
		stale = append(stale, fresh[:excess]...)
	}
	return stale, after
}

// inUse reports whether a revision stays whatever its age.
func inUse(config *servingv1.Configuration, rev *servingv1.Revision) bool {
	return config.Status.LatestReadyRevisionName == rev.Name ||
		strings.EqualFold(rev.Annotations[serving.RevisionPreservedAnnotationKey], "true") ||
		rev.GetRoutingState() != servingv1.RoutingStateReserve
}

func lastActive(rev *servingv1.Revision) time.Time {
	if t := rev.GetRoutingStateModified(); !t.IsZero() {
		return t
	}
	return rev.CreationTimestamp.Time
}
