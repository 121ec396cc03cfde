package control

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/kmeta"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// syncConfiguration makes the revision of the configuration's generation, and says
// which revision is the latest that is ready.
func (c *Controller) syncConfiguration(config *servingv1.Configuration) (time.Duration, error) {
	latest, err := c.currentRevision(config)
	switch {
	case apierrors.IsAlreadyExists(err):
		config.Status.MarkRevisionCreationFailed(err.Error())
		return 0, nil
	case apierrors.IsNotFound(err):
		if latest, err = c.createRevision(config); err != nil {
			return 0, err
		}
	case errors.Is(err, errGoing):
		return 0, nil
	case err != nil:
		return 0, err
	}
	before := config.Status.DeepCopy()
	markConfiguration(config, latest, c.revisionsOf(config))
	c.recordConfiguration(config, before, latest)
	return 0, nil
}

// markConfiguration writes the status of a configuration from its revision of now and
// all its revisions.
func markConfiguration(config *servingv1.Configuration, latest *servingv1.Revision, all []*servingv1.Revision) {
	config.Status.SetLatestCreatedRevisionName(latest.Name)
	if ready := latest.Status.GetCondition(servingv1.RevisionConditionReady); ready.IsFalse() {
		config.Status.MarkLatestCreatedFailed(latest.Name, ready.GetMessage())
	}
	for _, rev := range readyCandidates(config, latest, all) {
		if rev.IsReady() {
			config.Status.SetLatestReadyRevisionName(rev.Name)
			return
		}
	}
}

// readyCandidates returns the revisions that may be the latest ready one, best first:
// none that is older than the one that is it now, so that requests never go back by
// themselves.
func readyCandidates(config *servingv1.Configuration, latest *servingv1.Revision, all []*servingv1.Revision) []*servingv1.Revision {
	named := config.Spec.Template.Name
	allowed := func(*servingv1.Revision) bool { return true }
	for _, rev := range all {
		if rev.Name != config.Status.LatestReadyRevisionName {
			continue
		}
		from, ok := configurationGeneration(rev)
		if !ok {
			from = config.Generation
		}
		allowed = func(rev *servingv1.Revision) bool {
			g, ok := configurationGeneration(rev)
			return ok && g >= from && g <= config.Generation || named != "" && rev.Name == latest.Name
		}
	}
	out := slices.DeleteFunc(slices.Clone(all), func(rev *servingv1.Revision) bool { return !allowed(rev) })
	slices.SortStableFunc(out, func(a, b *servingv1.Revision) int {
		switch {
		case a.Name == named:
			return -1
		case b.Name == named:
			return 1
		}
		ga, _ := configurationGeneration(a)
		gb, _ := configurationGeneration(b)
		return int(gb - ga)
	})
	return out
}

func configurationGeneration(rev *servingv1.Revision) (int64, bool) {
	g, err := strconv.ParseInt(rev.Labels[serving.ConfigurationGenerationLabelKey], 10, 64)
	return g, err == nil
}

// recordConfiguration says what has changed for the people who follow the events.
func (c *Controller) recordConfiguration(config *servingv1.Configuration, before *servingv1.ConfigurationStatus, latest *servingv1.Revision) {
	now := config.Status
	if was, is := before.GetCondition(servingv1.ConfigurationConditionReady), now.GetCondition(servingv1.ConfigurationConditionReady); is.IsFalse() &&
		(was == nil || was.Status != is.Status || was.Message != is.Message) {
		if latest.Name == now.LatestReadyRevisionName {
			c.events.record(config, corev1.EventTypeWarning, "LatestReadyFailed", "Latest ready revision %q has failed", latest.Name)
		} else {
			c.events.record(config, corev1.EventTypeWarning, "LatestCreatedFailed", "Latest created revision %q has failed", latest.Name)
		}
	}
	if before.LatestReadyRevisionName != now.LatestReadyRevisionName {
		if before.LatestReadyRevisionName == "" {
			c.events.record(config, corev1.EventTypeNormal, "ConfigurationReady", "Configuration becomes ready")
		}
		c.events.record(config, corev1.EventTypeNormal, "LatestReadyUpdate", "LatestReadyRevisionName updated to %q", now.LatestReadyRevisionName)
	}
}

// revisionsOf returns all revisions of a configuration.
func (c *Controller) revisionsOf(config *servingv1.Configuration) []*servingv1.Revision {
	return store.Labelled[*servingv1.Revision](c.Store, config.Namespace, serving.ConfigurationLabelKey, config.Name)
}

// errGoing says that a name is taken by what goes with its owner in a moment; its
// deletion brings the task back.
var errGoing = errors.New("the revision is being deleted")

// currentRevision returns the revision of the configuration's generation. The error is
// NotFound where it has to be made, and AlreadyExists where its name is taken.
func (c *Controller) currentRevision(config *servingv1.Configuration) (*servingv1.Revision, error) {
	if rev, err := c.namedRevision(config); rev != nil || err != nil {
		return rev, err
	}
	for _, rev := range c.revisionsOf(config) {
		if g, ok := configurationGeneration(rev); ok && g == config.Generation {
			return rev, nil
		}
	}
	return nil, apierrors.NewNotFound(servingv1.Resource("revisions"), "revision for "+config.Name)
}

// namedRevision returns the revision that the template names, nil where it names none.
// Another configuration's, or one with another spec, is AlreadyExists.
func (c *Controller) namedRevision(config *servingv1.Configuration) (*servingv1.Revision, error) {
	name := config.Spec.Template.Name
	if name == "" {
		return nil, nil
	}
	rev, ok := store.Get[*servingv1.Revision](c.Store, config.Namespace, name)
	if !ok {
		return nil, apierrors.NewNotFound(servingv1.Resource("revisions"), name)
	}
	if c.ownerGone(rev) {
		return nil, errGoing
	}
	if !ownsNamed(config, rev) {
		return nil, apierrors.NewAlreadyExists(servingv1.Resource("revisions"), name)
	}
	return rev, nil
}

// ownsNamed reports whether a revision is what the template of its name wants. Only the
// spec has to be the same: people may label their revisions.
func ownsNamed(config *servingv1.Configuration, rev *servingv1.Revision) bool {
	if !metav1.IsControlledBy(rev, config) {
		return false
	}
	g, ok := configurationGeneration(rev)
	return ok && g == config.Generation || equality.Semantic.DeepEqual(config.Spec.Template.Spec, rev.Spec)
}

func (c *Controller) createRevision(config *servingv1.Configuration) (*servingv1.Revision, error) {
	rev, err := create(c, desiredRevision(config, c.Now()))
	if apierrors.IsAlreadyExists(err) {
		// A name of ours that is taken: perhaps by this configuration's revision of an
		// instant ago. The next look knows.
		return nil, fmt.Errorf("failed to create Revision: %w", err)
	}
	if err != nil {
		config.Status.MarkRevisionCreationFailed(err.Error())
		c.events.record(config, corev1.EventTypeWarning, "CreationFailed", "Failed to create Revision: %v", err)
		return nil, errors.Join(errors.New("failed to create Revision"), err)
	}
	c.events.record(config, corev1.EventTypeNormal, "Created", "Created Revision %q", rev.Name)
	return rev, nil
}

// desiredRevision returns the revision of a configuration's generation.
func desiredRevision(config *servingv1.Configuration, now time.Time) *servingv1.Revision {
	template := config.Spec.Template.DeepCopy()
	rev := &servingv1.Revision{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	rev.Namespace = config.Namespace
	if rev.Name == "" {
		rev.Name = kmeta.ChildName(config.Name, fmt.Sprintf("-%05d", config.Generation))
	}
	rev.Labels = union(rev.Labels, map[string]string{
		serving.ConfigurationLabelKey:           config.Name,
		serving.ConfigurationGenerationLabelKey: strconv.FormatInt(config.Generation, 10),
		serving.ConfigurationUIDLabelKey:        string(config.UID),
	})
	for _, key := range []string{serving.ServiceLabelKey, serving.ServiceUIDLabelKey} {
		if value := config.Labels[key]; value != "" {
			rev.Labels[key] = value
		}
	}
	state := servingv1.RoutingStatePending
	rev.Annotations = union(rev.Annotations, nil)
	if creator, ok := config.Annotations[serving.UpdaterAnnotation]; ok {
		rev.Annotations[serving.CreatorAnnotation] = creator
	}
	if routes, ok := config.Annotations[serving.RoutesAnnotationKey]; ok {
		rev.Annotations[serving.RoutesAnnotationKey] = routes
		state = servingv1.RoutingStateActive
	}
	rev.SetRoutingState(state, now)
	rev.OwnerReferences = append(rev.OwnerReferences, *kmeta.NewControllerRef(config))
	return rev
}
